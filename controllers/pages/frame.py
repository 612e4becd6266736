"""What all pages share: who may open them, how they are rendered, and what a form does when it is sent.

A page is a GET, and shows; an action is a POST, changes something, and leads to a page. Both work without JavaScript.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from apiflask import APIBlueprint
from flask import (
    Response,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    stream_template,
    url_for,
)
from markupsafe import Markup, escape
from werkzeug.exceptions import HTTPException

from controllers import sessions
from controllers.access import declared
from controllers.errors import of_accident, of_http
from controllers.hooks import PAGE_POLICY
from controllers.pages.forms import refuse_broken
from controllers.pages.icons import icon
from controllers.pages.menu import menu
from services import audit
from services.errors import ForbiddenError, RateLimitedError, ServiceError
from services.principal import Principal
from services.pulse import pulse
from services.relay import Relay
from services.roles import Role, role_of
from utils.clock import now_ms

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z")

_LONGEST_TOLD = 500  # characters
_LONGEST_PATH = 4_000

bp = APIBlueprint("pages", __name__, enable_openapi=False)


@dataclass(frozen=True, slots=True)
class Visit:
    """Who looks, or acts."""

    relay: Relay
    who: Principal
    role: Role
    now: int

    @property
    def tenant(self) -> str | None:
        """What to filter by; None sees everything."""
        return self.who.visible_tenant


@dataclass(frozen=True, slots=True)
class Done:
    """What an action did. `message` is for people; `target` and `details` are for the audit log."""

    message: str
    to: str  # the page to go to
    target: str = ""
    details: dict[str, Any] | None = None
    category: str = "success"


Page = Callable[..., Any]


def page(rule: str, role: Role = Role.VIEWER, *, outward: bool = False) -> Callable[[Page], Page]:
    """Route a page to whoever has the role. It takes a Visit and the path's values; others are led to the login.

    `outward`: it may wait for somebody else's server, and so must not keep a thread from pages that do not.
    """

    def wrap(view: Page) -> Page:
        @wraps(view)
        def guarded(**path: Any) -> Any:
            visit = _visit(role)
            if visit is None:
                return redirect(url_for("pages.login", next=_here()))
            refuse_broken(request.args)
            return view(visit, **path)

        guarded.outward = outward  # type: ignore[attr-defined]
        bp.add_url_rule(rule, view.__name__, declared(guarded, f"session {role}"), methods=["GET"])
        return view

    return wrap


def action(
    rule: str, role: Role, audited: bool = True, *, outward: bool = False, large: bool = False
) -> Callable[[Page], Page]:
    """Route a form. It answers Done, or a Response of its own; a ServiceError is told on the page it came from.

    `outward` as for a page; `large`: its texts may be as long as an email.
    """

    def wrap(view: Page) -> Page:
        @wraps(view)
        def guarded(**path: Any) -> Any:
            visit = _visit(role)
            if visit is None:
                return redirect(url_for("pages.login"), 303)
            if large:
                request.max_form_memory_size = visit.relay.policy.max_message_bytes
            sessions.check_csrf()
            try:
                refuse_broken(request.form)
                done = view(visit, **path)
            except ServiceError as error:
                return refused_form(error)
            if not isinstance(done, Done):
                return done
            if audited:
                audit.note(actor(visit.who), view.__name__, done.target, done.details, visit.now)
            tell(done.message, done.category)
            return redirect(done.to, 303)

        guarded.outward = outward  # type: ignore[attr-defined]
        bp.add_url_rule(rule, view.__name__, declared(guarded, f"session {role}"), methods=["POST"])
        return view

    return wrap


def render(template: str, status: int = 200, **values: Any) -> Response:
    return _page(render_template(template, **_around(), **values), status)


def streamed(template: str, **values: Any) -> Response:
    """The same, sent as it comes about: what the template iterates over may take its time."""
    response = _page(stream_template(template, **_around(), **values), 200)
    response.headers["X-Accel-Buffering"] = "no"  # nginx would keep it back
    return response


def drawn(template: str, **values: Any) -> Markup:
    """Part of a page."""
    return Markup(render_template(template, **_around(), **values))  # noqa: S704 - a template's own


def fragment(html: Markup) -> Response:
    """What a page exchanges in itself: static/live.js."""
    return _page(html, 200)


def _page(html: Any, status: int) -> Response:
    return Response(html, status, headers={"Content-Security-Policy": PAGE_POLICY})


def _around() -> dict[str, Any]:
    """What every template can use."""
    who = sessions.current()
    role = role_of(who) if who else None
    return {
        "who": who, "role": role, "menu": menu(role, request.path), "icon": icon, "hidden": _hidden, "may": _may(role),
        "marks": g.get("marks", {}), "timed": _timed,
        "login_again": url_for("pages.login", next=_here()),
    }  # fmt: skip


def _hidden() -> Markup:
    """The fields that every form of ours carries."""
    fields = {"csrf": sessions.csrf_token(), "back": _here()}
    return Markup("").join(
        Markup('<input type="hidden" name="{}" value="{}">').format(name, value)
        for name, value in fields.items()
    )


def _may(role: Role | None) -> Callable[[str], bool]:
    """For templates: `may('operator')`."""
    return lambda needed: role is not None and role.includes(Role(needed))


def _timed(text: str) -> Markup:
    """A sentence in which moments are shown in the zone of whoever looks: static/times.js."""
    time = '<time datetime="\\g<0>">\\g<1> \\g<2> UTC</time>'
    return Markup(_MOMENT.sub(time, str(escape(text))))  # noqa: S704 - escaped before


def actor(who: Principal) -> audit.Actor:
    return audit.Actor(who.label, who.tenant, request.remote_addr or "")


def tell(message: str, category: str) -> None:
    """On the next page. It travels in the cookie, and browsers drop a cookie over 4 KB whole."""
    flash(message if len(message) <= _LONGEST_TOLD else f"{message[:_LONGEST_TOLD]}…", category)


def came_from(default: str) -> str:
    """The page that a form names as its own in `back`: a path of ours, never another site."""
    return local(request.form.get("back"), default)


def local(target: str | None, default: str) -> str:
    if (
        not target
        or len(target) > _LONGEST_PATH
        or not target.startswith("/")
        or target.startswith(("//", "/\\"))
        or "\\" in target
    ):
        return default
    parts = urlsplit(target)
    return default if parts.scheme or parts.netloc or not target.isprintable() else target


def refused_form(error: ServiceError) -> Any:
    """Back to the form's page with what is wrong, where it named one; else a page that says so."""
    back = came_from("")
    if not back:
        return refused(error)
    told = "; ".join(f"{one.field}: {one.message}" for one in error.details) or error.message
    tell(sentence(told), "danger")
    return redirect(back, 303)


@bp.errorhandler(ServiceError)
def refused(error: ServiceError) -> Response:
    response = render("error.html", error.status, title=error.title, message=sentence(error.message))
    if isinstance(error, RateLimitedError):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


@bp.errorhandler(HTTPException)
def refused_by_http(error: HTTPException) -> Response:
    """For people: too large a form, a page that is not there."""
    answer = of_http(error)
    return answer if answer.status_code < 400 else _for_people(answer)


@bp.errorhandler(Exception)
def broken(error: Exception) -> Response:
    """Ours to mend. The page says no more than the API does, and needs no database, which may be what is broken."""
    return _for_people(of_accident(error))


def missing(error: HTTPException) -> Response:
    """No such path: a page for people, an envelope for programs."""
    wants_page = "text/html" in request.headers.get("Accept", "") and not request.path.startswith("/api/")
    return refused_by_http(error) if wants_page else of_http(error)


def _for_people(answer: Response) -> Response:
    told = answer.get_json()
    html = render_template(
        "error.html", title=told["error"], message=sentence(told["message"]), who=None, icon=icon, menu=[]
    )
    page = _page(html, answer.status_code)
    for name in ("Allow", "Retry-After"):
        if name in answer.headers:
            page.headers[name] = answer.headers[name]
    return page


def sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _visit(role: Role) -> Visit | None:
    who = sessions.current()
    if who is None:
        return None
    who.require_service()
    has = role_of(who)
    if has is None or not has.includes(role):
        raise ForbiddenError(f"this needs the role {role}", code="ROLE_MISSING")
    g.marks = pulse(now_ms())  # before anything is read, so that what changes meanwhile is told afterwards
    return Visit(current_app.extensions["mailferry"], who, has, now_ms())


def _here() -> str:
    """The page as it was asked for, with its filters."""
    return request.full_path if request.query_string else request.path
