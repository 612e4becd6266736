"""What every request gets: an id, security headers, CORS."""

from __future__ import annotations

import re
import secrets

from flask import Flask, Response, g, request

from utils import logs

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_API_POLICY = "default-src 'none'; frame-ancestors 'none'"
_ALLOWED_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, X-API-Key, X-Auth-Token, X-Request-ID, X-Tenant-ID, X-User-ID"
)
_EXPOSED_HEADERS = (
    "Idempotent-Replayed, Link, Location, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset,"
    " X-Request-ID, X-Total-Count"
)


def register(app: Flask, cors_origins: tuple[str, ...]) -> None:
    app.before_request(_name_request)
    app.after_request(_protect)
    app.teardown_request(_forget_request)
    if cors_origins:
        origins = frozenset(cors_origins)
        app.after_request(lambda response: _share(response, origins))


def _name_request() -> None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _SANE_ID.match(given) else secrets.token_hex(8)
    g.request_mark = logs.set_request_id(g.request_id)


def _forget_request(error: BaseException | None) -> None:
    mark = g.pop("request_mark", None)
    if mark is not None:
        logs.reset_request_id(mark)


def _protect(response: Response) -> Response:
    headers = response.headers
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", _API_POLICY)
    if request.endpoint is None or not request.endpoint.endswith("static"):
        headers.setdefault("Cache-Control", "no-store")
    headers["X-Request-ID"] = g.get("request_id", "")
    return response


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
