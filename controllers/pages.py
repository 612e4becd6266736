"""Pages for the browser: login, and what the sandbox caught."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from apiflask import APIBlueprint
from flask import Response, current_app, redirect, render_template, request, url_for

from controllers import sessions
from controllers.access import public
from controllers.hooks import PAGE_POLICY
from controllers.sessions import service_page
from services import sandbox
from services.errors import RateLimitedError, ServiceError
from services.rate_limits import RateLimits
from services.relay import Relay
from utils.clock import now_ms

PAGE_SIZE = 50
# The mail's own html: no scripts, no requests to anywhere, no forms; framed by our page alone.
_MAIL_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self'"
)

bp = APIBlueprint("pages", __name__, enable_openapi=False)


def page(template: str, status: int = 200, **values: Any) -> Response:
    who = sessions.current()
    html = render_template(template, who=who, csrf=sessions.csrf_token(), **values)
    return Response(html, status, headers={"Content-Security-Policy": PAGE_POLICY})


@bp.get("/login", endpoint="login")
@public
def login() -> Response:
    return page("login.html", next=_local(request.args.get("next")))


@bp.post("/login", endpoint="log_in")
@public
def log_in() -> Any:
    relay: Relay = current_app.extensions["mailferry"]
    limits: RateLimits = current_app.extensions["mailferry.limits"]
    target = _local(request.form.get("next"))
    now = now_ms()
    limits.check_address(request.remote_addr or "", "login", now)
    sessions.check_csrf()
    if not sessions.log_in(relay.policy, request.form.get("key", "").strip(), now):
        return page("login.html", 401, next=target, wrong="This key is not known, or it was revoked.")
    return redirect(target, 303)


@bp.post("/logout", endpoint="logout")
@public
def logout() -> Any:
    sessions.check_csrf()
    sessions.log_out()
    return redirect(url_for("pages.login"), 303)


@bp.get("/sandbox", endpoint="sandbox")
@service_page
def caught() -> Response:
    relay: Relay = current_app.extensions["mailferry"]
    text = request.args.get("before", "")
    before = int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None
    mails = sandbox.messages(PAGE_SIZE, before)
    older = mails[-1]["id"] if len(mails) == PAGE_SIZE else None
    return page(
        "sandbox.html", mails=mails, older=older, first=before is None, port=relay.policy.sandbox_port
    )


@bp.post("/sandbox/clear", endpoint="clear_sandbox")
@service_page
def clear() -> Any:
    sandbox.clear()
    return redirect(url_for("pages.sandbox"), 303)


@bp.get("/sandbox/<id:message_id>", endpoint="sandbox_message")
@service_page
def one_caught(message_id: int) -> Response:
    raw = sandbox.raw(message_id)
    return page(
        "sandbox_message.html", mail=sandbox.message(message_id), raw=raw[:200_000].decode("utf-8", "replace")
    )


@bp.get("/sandbox/<id:message_id>/html", endpoint="sandbox_html")
@service_page
def html_of_caught(message_id: int) -> Response:
    html = sandbox.message(message_id)["html"] or ""
    return Response(html, mimetype="text/html", headers={
        "Content-Security-Policy": _MAIL_POLICY, "X-Frame-Options": "SAMEORIGIN",
    })  # fmt: skip


@bp.get("/sandbox/<id:message_id>/raw", endpoint="sandbox_raw")
@service_page
def raw_of_caught(message_id: int) -> Response:
    name = f'attachment; filename="sandbox-{message_id}.eml"'
    return Response(sandbox.raw(message_id), mimetype="message/rfc822", headers={"Content-Disposition": name})


@bp.errorhandler(ServiceError)
def refused(error: ServiceError) -> Response:
    response = page("error.html", error.status, title=error.title, message=error.message)
    if isinstance(error, RateLimitedError):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _local(target: str | None) -> str:
    """Where to go after the login: a path of ours, never another site."""
    home = url_for("pages.sandbox")
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")) or "\\" in target:
        return home
    parts = urlsplit(target)
    return home if parts.scheme or parts.netloc or not target.isprintable() else target
