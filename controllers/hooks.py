"""What every request gets: an id, security headers, CORS."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request

from utils import logs

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALLOWED_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, X-API-Key, X-Auth-Token, X-Request-ID,"
    " X-Tenant-ID, X-User-ID"
)
_EXPOSED_HEADERS = (
    "Idempotent-Replayed, Link, Location, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset,"
    " X-Request-ID, X-Total-Count"
)


def register(app: Flask, cors_origins: tuple[str, ...]) -> None:
    app.wsgi_app = _Frame(app.wsgi_app)  # type: ignore[method-assign]
    if cors_origins:
        origins = frozenset(cors_origins)
        app.after_request(lambda response: _share(response, origins))


class _Frame:
    """Around the whole application, since Flask's own hooks cost several times as much: names the request, in the log
    and in its answer, and adds the security headers that the answer has not set itself."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        name = given if _SANE_ID.match(given) else f"{random.getrandbits(64):016x}"

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            present = {name for name, _ in headers}
            headers += [header for header in _HEADERS if header[0] not in present]
            headers.append(("X-Request-ID", name))
            return start_response(status, headers, *exc_info)

        mark = logs.set_request_id(name)
        try:
            return self._application(environ, start)
        finally:
            logs.reset_request_id(mark)


def _share(response: Response, origins: frozenset[str]) -> Response:
    """CORS without cookies: a page of these origins may call the API with a key that it holds."""
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    if origin is None or not (origin in origins or "*" in origins):
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "GET")
        response.headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = "600"
    return response
