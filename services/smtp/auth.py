"""SMTP AUTH: PLAIN (RFC 4616), else LOGIN."""

from __future__ import annotations

from base64 import b64encode

from .capabilities import Capabilities
from .errors import Reason, SmtpError, Stage
from .reply import Reply, blot
from .wire import Wire

CONTINUE = 334
_NO_SUCH_MECHANISM = (500, 501, 502, 504)


def log_in(wire: Wire, capabilities: Capabilities, username: str, password: str, limit: float) -> str:
    """Returns the mechanism used. LOGIN comes second when PLAIN is unknown, never when PLAIN was refused:
    a wrong password tried twice brings a lock-out twice as near."""
    offered = [name for name in ("PLAIN", "LOGIN") if name in capabilities.auth]
    if not offered:
        told = ", ".join(capabilities.auth) or "no login"
        raise wire.fail(Stage.AUTH, Reason.UNSUPPORTED, f"login by PLAIN or LOGIN is not offered, but {told}")
    if "\0" in username + password:
        raise wire.fail(Stage.AUTH, Reason.AUTH, "the username or password contains a NUL character")
    plain, user, word = (_b64(text) for text in (f"\0{username}\0{password}", username, password))
    # A server that takes an initial response never asks for the second line of PLAIN.
    scripts = {"PLAIN": (f"AUTH PLAIN {plain}", plain), "LOGIN": ("AUTH LOGIN", user, word)}
    for name in offered:
        reply = _exchange(wire, scripts[name], limit, (plain, word, password))
        if reply.ok:
            return name
        if reply.code not in _NO_SUCH_MECHANISM:
            break
    reason = Reason.AUTH if reply.permanent else Reason.REJECTED
    raise wire.fail(Stage.AUTH, reason, f"the login was refused: {reply}", reply)


def _exchange(wire: Wire, script: tuple[str, ...], limit: float, secrets: tuple[str, ...]) -> Reply:
    for line in script:
        try:
            reply = wire.command(f"{line}\r\n".encode(), limit, Stage.AUTH).without(secrets)
        except SmtpError as error:
            raise SmtpError(error.stage, error.reason, blot(error.detail, secrets)) from None
        if reply.code != CONTINUE:
            break
    return reply


def _b64(text: str) -> str:
    return b64encode(text.encode()).decode()
