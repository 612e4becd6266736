"""An API operation: what it is called, who may call it, what it takes, what it answers. All of it in one place, so
that the checks and /openapi.json cannot come apart."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import urlencode

from apiflask import APIBlueprint
from flask import Flask, Request, Response, current_app, request
from pydantic import BaseModel
from werkzeug.datastructures import Headers

from controllers.access import declared
from controllers.auth import authenticate
from controllers.bodies import has_body, read_nothing, read_object
from controllers.errors import rate_headers
from controllers.queries import read_no_query, read_query
from services import audit
from services.principal import Principal, Scope
from services.rate_limits import RateLimits, Room
from services.relay import Relay
from utils.clock import now_ms

SMALL = 1_000_000  # bytes of a body that carries no email
NOBODY = Principal(None, "nobody", service=False, tenant="", user="", scopes=frozenset())

Handler = Callable[..., Any]
_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Operation:
    """`answers`: status → (description, JSON schema or None). `scope` None: anyone may call it. `description`: what the
    summary does not say, in Markdown; without one, the handler's docstring. `examples`: bodies by what they show, for
    operations that have more to show than `example`."""

    id: str
    summary: str
    tag: str
    scope: Scope | None
    answers: Mapping[int, tuple[str, dict[str, Any] | None]]
    description: str = ""
    group: str = "read"
    service_only: bool = False
    of_user: bool = False  # about what one user of a tenant owns: who speaks for none gets a 401
    outward: bool = False  # asks somebody else's server, which may take minutes
    by_link: bool = False  # a signature in the query does for a credential; the handler checks it
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    example: Any = None
    examples: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[int, ...] = ()  # beside those that follow from the rest
    large: bool = False
    raw_body: bool = False  # the handler reads the body itself
    body_optional: bool = False
    raw_content: str = ""  # the type of a body that is no JSON, which the handler reads itself
    headers: dict[str, dict[str, Any]] = field(default_factory=dict)  # of the request: name → JSON schema
    content_type: str = "application/json"  # of the answer
    audited: bool = True  # if it changes something and needs the scope admin
    sets: tuple[str, ...] = ()  # headers of the answer
    form: dict[str, Any] | None = None  # JSON schema of a multipart/form-data body that is taken as well


@dataclass(slots=True)
class Call:
    """What a handler works with."""

    relay: Relay
    request: Request
    now: int
    who: Principal = NOBODY
    body: Any = None
    query: Any = None


def operation(bp: APIBlueprint, method: str, rule: str, about: Operation) -> Callable[[Handler], Handler]:
    """Route a handler. It takes a Call and the path's values; it answers a body, (body, status) or a Response."""

    def wrap(handler: Handler) -> Handler:
        def view(**path: Any) -> Response:
            extensions = current_app.extensions
            # the request itself: each look through Flask's proxy costs a microsecond, and there are many
            call = Call(extensions["mailferry"], cast(Any, request)._get_current_object(), now_ms())
            open_to_all = about.scope is None or (about.by_link and "signature" in call.request.args)
            room = None if open_to_all else _admit(call, about, extensions["mailferry.limits"])
            _read(call, about)
            response = answered(handler(call, **path))
            if about.audited and about.scope == Scope.ADMIN and method != "GET":
                _note(call, about.id, path)
            if room is not None:
                rate_headers(response, room.limit, room.remaining, room.reset)
            return response

        told = about.description or inspect.cleandoc(handler.__doc__ or "")
        view.operation = replace(about, description=told)  # type: ignore[attr-defined]
        access = (
            "public" if about.scope is None else f"{'service ' if about.service_only else ''}{about.scope}"
        )
        described = bp.doc(summary=about.summary, tags=[about.tag], operation_id=about.id)(view)
        bp.add_url_rule(rule, about.id, declared(described, access), methods=[method])
        return handler

    return wrap


def outward(app: Flask) -> re.Pattern[str]:
    """Matches `METHOD path` of the operations and pages that ask somebody else's server, below whatever prefix."""
    rules = [
        f"(?:{'|'.join(sorted(rule.methods or ()))}) .*{re.sub('<[^>]*>', '[^/]*', rule.rule)}"
        for rule in app.url_map.iter_rules()
        if _is_outward(app.view_functions[rule.endpoint])
    ]
    return re.compile("|".join(rules), re.DOTALL)


def _is_outward(view: Callable[..., Any]) -> bool:
    return bool(getattr(getattr(view, "operation", view), "outward", False))


class Answer(Response):
    """A JSON answer whose headers are complete: Werkzeug's way to complete them takes as long as Flask's dispatch."""

    def get_wsgi_headers(self, environ: Any) -> Headers:
        return self.headers


def answered(result: Any) -> Response:
    if isinstance(result, Response):
        return result
    body, status = result if isinstance(result, tuple) else (result, 200)
    if status == 204:
        return Response(status=204)
    data = _encode(body).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
    return Answer([data], status, Headers(headers))


def paged(items: list[Any], total: int | None, more: dict[str, Any] | None) -> Response:
    """A bare array with its total, and with a link to the next page where there is one (`more`: its parameters)."""
    response = answered(items)
    if total is not None:
        response.headers["X-Total-Count"] = str(total)
    if more is not None:
        response.headers["Link"] = next_link(more)
    return response


def next_link(changes: dict[str, Any], without: tuple[str, ...] = ()) -> str:
    parameters = {name: one for name, one in request.args.to_dict().items() if name not in without} | changes
    return f'<{request.path}?{urlencode(parameters)}>; rel="next"'


def _admit(call: Call, about: Operation, limits: RateLimits) -> Room | None:
    assert about.scope is not None
    call.who = authenticate(call.relay, call.request, call.now)
    if about.service_only:
        call.who.require_service()
    if about.of_user:
        call.who.require_user()
    call.who.require(about.scope)
    return limits.check(call.who, about.group, call.now)


def _note(call: Call, name: str, path: dict[str, Any]) -> None:
    """What changes how the relay works goes into the audit log."""
    actor = audit.Actor(call.who.label, call.who.tenant, call.request.remote_addr or "")
    fields = call.body.model_dump(mode="json", exclude_unset=True) if isinstance(call.body, BaseModel) else {}
    audit.note(actor, name, " ".join(str(one) for one in path.values()), fields, call.now)


def _read(call: Call, about: Operation) -> None:
    request = call.request
    if about.query is None:
        read_no_query(request)
    else:
        call.query = read_query(request, about.query)
    if not about.large:
        request.max_content_length = SMALL
    if about.raw_body or request.method == "GET":
        return
    if about.body is None:
        read_nothing(request)
    elif has_body(request) or not about.body_optional:
        call.body = read_object(request, about.body)
