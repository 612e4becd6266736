"""What every request gets: an id, security headers, CORS."""

from __future__ import annotations

import random
import re

from flask import Flask, Response, g, request

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
    app.before_request(_name_request)
    app.after_request(_protect)
    app.teardown_request(_forget_request)
    if cors_origins:
        origins = frozenset(cors_origins)
        app.after_request(lambda response: _share(response, origins))


def _name_request() -> None:
    given = request.environ.get("HTTP_X_REQUEST_ID", "")
    name = given if _SANE_ID.match(given) else f"{random.getrandbits(64):016x}"
    g.request_id, g.request_mark = name, logs.set_request_id(name)


def _forget_request(error: BaseException | None) -> None:
    mark = g.pop("request_mark", None)
    if mark is not None:
        logs.reset_request_id(mark)


def _protect(response: Response) -> Response:
    headers = response.headers
    present = {name for name, _ in headers}
    for name, value in _HEADERS:
        if name not in present:
            headers.add(name, value)
    headers.add("X-Request-ID", g.get("request_id", ""))
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
