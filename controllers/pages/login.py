"""Signing in, by name and password or by an API key of the service, and out."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, redirect, request, url_for

from controllers import sessions
from controllers.access import public
from controllers.pages.frame import bp, local, render
from services import users
from services.rate_limits import RateLimits
from services.relay import Relay
from utils.clock import now_ms

HOME = "/start"
WRONG_KEY = "This key is not known, or it was revoked."
WRONG_PASSWORD = "This name and password do not match, or too many wrong ones were tried: wait a minute."  # noqa: S105


@bp.get("/login", endpoint="login")
@public
def login() -> Response:
    return _form(200)


@bp.post("/login", endpoint="log_in")
@public
def log_in() -> Any:
    limits: RateLimits = current_app.extensions["mailferry.limits"]
    now = now_ms()
    limits.check_address(request.remote_addr or "", "login", now)
    sessions.check_csrf()
    by_key = "key" in request.form
    if not (_by_key(now) if by_key else _by_name(now)):
        return _form(401, wrong=WRONG_KEY if by_key else WRONG_PASSWORD, by_key=by_key)
    return redirect(local(request.form.get("next"), HOME), 303)


@bp.post("/logout", endpoint="logout")
@public
def logout() -> Any:
    sessions.check_csrf()
    sessions.log_out()
    return redirect(url_for("pages.login"), 303)


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
