"""Signing in, by name and password or by an API key of the service, and out."""

from __future__ import annotations

import logging
from typing import Any

from flask import Response, current_app, redirect, request, url_for
from werkzeug.datastructures import MultiDict

from controllers import sessions
from controllers.access import public
from controllers.pages.forms import refuse_broken
from controllers.pages.frame import bp, local, render
from services import users
from services.rate_limits import RateLimits
from services.relay import Relay
from utils.clock import now_ms

log = logging.getLogger(__name__)

HOME = "/start"
LARGEST = 20_000  # bytes of a form
WRONG_KEY = "This key is not known, or it was revoked."
WRONG_PASSWORD = "This name and password do not match, or too many wrong ones were tried: wait a minute."  # noqa: S105


@bp.get("/login", endpoint="login")
@public
def login() -> Response:
    return _form(200)


@bp.post("/login", endpoint="log_in")
@public
def log_in() -> Any:
    """A good key is let in whatever else its address has tried: whoever shares a proxy with somebody who guesses must
    not be locked out. Keys cannot be guessed; passwords can, so those are counted before they are looked at."""
    now, by_key = now_ms(), "key" in _small_form()
    sessions.check_csrf()
    refuse_broken(request.form)
    if not by_key:
        _count(now)
    if _by_key(now) if by_key else _by_name(now):
        return redirect(local(request.form.get("next"), HOME), 303)
    log.warning("action=login_refused by=%s address=%s", "key" if by_key else "name", request.remote_addr)
    if by_key:
        _count(now)
    return _form(401, wrong=WRONG_KEY if by_key else WRONG_PASSWORD, by_key=by_key)


@bp.post("/logout", endpoint="logout")
@public
def logout() -> Any:
    _small_form()
    sessions.check_csrf()
    sessions.log_out()
    return redirect(url_for("pages.login"), 303)


def _small_form() -> MultiDict[str, str]:
    """Anybody may post here: nobody needs to post much."""
    request.max_content_length = LARGEST
    return request.form


def _count(now: int) -> None:
    limits: RateLimits = current_app.extensions["mailferry.limits"]
    limits.check_address(request.remote_addr or "", "login", now)


def _by_key(now: int) -> bool:
    relay: Relay = current_app.extensions["mailferry"]
    return sessions.log_in_by_key(relay.policy, request.form["key"].strip(), now)


def _by_name(now: int) -> bool:
    return sessions.log_in_by_name(request.form.get("name", ""), request.form.get("password", ""), now)


def _form(status: int, **values: Any) -> Response:
    target = local(request.values.get("next"), HOME)
    known = users.any_exist()
    by_key = values.pop("by_key", "by" in request.args) or not known
    return render("login.html", status, next=target, known=known, by_key=by_key, **values)
