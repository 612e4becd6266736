"""The browser's session: a cookie, signed by Flask, with a token that the database knows and the forms' CSRF mark."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

from flask import Flask, Request, current_app, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from controllers.auth import MASTER, principal_of_key
from services import browser_sessions, keys, users
from services.errors import ForbiddenError, NotFoundError
from services.principal import Principal
from services.relay import Policy, Relay
from services.roles import SCOPES, Role
from utils.clock import now_ms
from utils.crypto import same

LARGEST_TEXT = 2_000_000  # bytes of all fields of a form but files: an email's html may be long


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
        MAX_FORM_MEMORY_SIZE=LARGEST_TEXT,
    )  # fmt: skip


def log_in_by_key(policy: Policy, secret: str, now: int) -> bool:
    who = principal_of_key(policy, secret, now)
    if who is None:
        return False
    _begin(f"key:{who.key_id}" if who.key_id is not None else f"master:{_mark(policy)}", now)
    return True


def log_in_by_name(name: str, password: str, now: int) -> bool:
    user_id = users.authenticate(name, password, now)
    if user_id is None:
        return False
    _begin(users.subject_of(user_id), now)
    return True


def log_out() -> None:
    if token := session.get("token"):
        browser_sessions.end(str(token))
    session.clear()


def current() -> Principal | None:
    """Who is signed in: asked of the database for each request, so that what is revoked ends its sessions too."""
    if "who" not in g:
        token, now = session.get("token"), now_ms()
        subject = browser_sessions.subject_of(str(token), now) if token else None
        g.who = _principal(subject, now, _policy()) if subject else None
    who: Principal | None = g.who
    return who


def watched() -> Callable[[], bool]:
    """Tells, also after this request, whether its session still goes on."""
    token, policy = str(session.get("token", "")), _policy()

    def goes_on() -> bool:
        now = now_ms()
        subject = browser_sessions.subject_of(token, now)
        return subject is not None and _principal(subject, now, policy) is not None

    return goes_on


def csrf_token() -> str:
    token: str | None = session.get("csrf")
    if token is None:
        token = session["csrf"] = secrets.token_urlsafe(24)
    return token


def check_csrf() -> None:
    given, expected = request.form.get("csrf", ""), session.get("csrf", "")
    if not expected or not same(given, expected):
        raise ForbiddenError("the form is out of date: go back, load the page again, and repeat", code="CSRF")


def _begin(subject: str, now: int) -> None:
    """Afresh, so that nothing which was planted before the login outlives it."""
    log_out()
    g.pop("who", None)
    agent = request.headers.get("User-Agent", "")
    session["token"] = browser_sessions.begin(subject, request.remote_addr or "", agent, now)


def _policy() -> Policy:
    relay: Relay = current_app.extensions["mailferry"]
    return relay.policy


def _principal(subject: str, now: int, policy: Policy) -> Principal | None:
    kind, _, name = subject.partition(":")
    if kind == "key":
        return keys.by_id(int(name))
    if kind == "user":
        return _of_user(int(name), now)
    return MASTER if same(name, _mark(policy)) else None


def _of_user(user_id: int, now: int) -> Principal | None:
    try:
        user = users.find(user_id)
    except NotFoundError:
        return None
    users.seen(user, now)
    return Principal(None, user.name, service=True, tenant="", user="", scopes=SCOPES[Role(user.role)])


def _mark(policy: Policy) -> str:
    """Stands for the master key: another one ends the sessions of the old."""
    return hashlib.sha256(f"session\0{policy.master_key}".encode()).hexdigest()
