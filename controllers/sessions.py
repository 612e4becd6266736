"""The browser's session: a signed cookie that says which key logged in, and since when."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, Request, current_app, redirect, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from controllers.access import declared
from controllers.auth import MASTER, principal_of_key
from services import keys
from services.errors import ForbiddenError
from services.principal import Principal, Scope
from services.relay import Policy, Relay
from utils.clock import HOUR, now_ms
from utils.crypto import same

LIFETIME = 12 * HOUR


class Sessions(SecureCookieSessionInterface):
    """Flask's own, without its cost for requests that bring no cookie, and Secure wherever the page is."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)

    def is_null_session(self, obj: object) -> bool:
        """Nothing to save where nothing was read or written."""
        return not (isinstance(obj, SecureCookieSession) and (obj.accessed or obj.modified))

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def register(app: Flask) -> None:
    app.session_interface = Sessions()
    app.config.update(
        SESSION_COOKIE_NAME="mailferry", SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Lax",
        MAX_FORM_MEMORY_SIZE=100_000,
    )  # fmt: skip


def log_in(policy: Policy, secret: str, now: int) -> bool:
    """Start a session afresh, so that nothing which was planted before the login outlives it."""
    who = principal_of_key(policy, secret, now)
    if who is None:
        return False
    session.clear()
    session["key"] = who.key_id if who.key_id is not None else _mark(policy)
    session["until"] = now + LIFETIME
    return True


def log_out() -> None:
    session.clear()


def current() -> Principal | None:
    """Who is logged in: asked of the database each time, so that a revoked key ends its sessions too."""
    key, until = session.get("key"), session.get("until", 0)
    if key is None or until <= now_ms():
        return None
    relay: Relay = current_app.extensions["mailferry"]
    if isinstance(key, int):
        return keys.by_id(key)
    return MASTER if same(str(key), _mark(relay.policy)) else None


def csrf_token() -> str:
    token: str | None = session.get("csrf")
    if token is None:
        token = session["csrf"] = secrets.token_urlsafe(24)
    return token


def check_csrf() -> None:
    given, expected = request.form.get("csrf", ""), session.get("csrf", "")
    if not expected or not same(given, expected):
        raise ForbiddenError("the form is out of date: go back, load the page again, and repeat", code="CSRF")


def service_page(view: Callable[..., Any]) -> Callable[..., Any]:
    """A page for service admins; others are led to the login."""

    @wraps(view)
    def guarded(**path: Any) -> Any:
        who = current()
        if who is None:
            return redirect(url_for("pages.login", next=request.path))
        who.require_service()
        who.require(Scope.ADMIN)
        if request.method == "POST":
            check_csrf()
        return view(**path)

    return declared(guarded, "session")


def _mark(policy: Policy) -> str:
    """Stands for the master key: another one ends the sessions of the old."""
    return hashlib.sha256(f"session\0{policy.master_key}".encode()).hexdigest()
