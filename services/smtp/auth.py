"""SMTP AUTH (RFC 4954): with a password PLAIN (RFC 4616), else LOGIN; with a token XOAUTH2, else OAUTHBEARER."""

from __future__ import annotations

from base64 import b64encode

from .bearer import MECHANISMS, bearer
from .capabilities import Capabilities
from .endpoint import Endpoint
from .errors import Reason, SmtpError, Stage
from .reply import Reply, blot
from .wire import Wire

CONTINUE = 334
_NO_SUCH_MECHANISM = (500, 501, 502, 504)


def log_in(wire: Wire, can: Capabilities, endpoint: Endpoint, limit: float) -> str:
    """As the endpoint's username, by its token if there is one. Returns the mechanism used."""
    username, password, token = endpoint.username or "", endpoint.password, endpoint.token
    if token is not None:
        return _by_token(wire, can, endpoint, token, limit)
    if password is None:  # an empty one would count as a wrong one, and bring a lock-out nearer
        raise wire.fail(Stage.AUTH, Reason.AUTH, "no password is stored for this username")
    return _by_password(wire, can, username, password, limit)


def _by_password(wire: Wire, can: Capabilities, username: str, password: str, limit: float) -> str:
    """LOGIN comes second when PLAIN is unknown, never when PLAIN was refused: a wrong password tried twice brings a
    lock-out twice as near."""
    offered = [name for name in ("PLAIN", "LOGIN") if name in can.auth]
    if not offered:
        raise _not_offered(wire, can, "PLAIN or LOGIN")
    if "\0" in username + password:
        raise wire.fail(Stage.AUTH, Reason.AUTH, "the username or password contains a NUL character")
    plain, user, word = (_b64(text.encode()) for text in (f"\0{username}\0{password}", username, password))
    # A server that takes an initial response never asks for the second line of PLAIN.
    scripts = {"PLAIN": (f"AUTH PLAIN {plain}", plain), "LOGIN": ("AUTH LOGIN", user, word)}
    for name in offered:
        reply = _exchange(wire, scripts[name], limit, (plain, word, password))
        if reply.ok:
            return name
        if reply.code not in _NO_SUCH_MECHANISM:
            break
    raise _refused(wire, reply)


def _by_token(wire: Wire, can: Capabilities, endpoint: Endpoint, token: str, limit: float) -> str:
    try:
        sasl = bearer(can.auth, endpoint.username or "", token, endpoint.host, endpoint.port)
    except ValueError as error:
        raise wire.fail(Stage.AUTH, Reason.AUTH, str(error)) from None
    if sasl is None:
        raise _not_offered(wire, can, " or ".join(MECHANISMS))
    start = _b64(sasl.start)
    reply = _exchange(wire, (f"AUTH {sasl.mechanism} {start}", _b64(sasl.end)), limit, (start, token))
    if reply.ok:
        return sasl.mechanism
    raise _refused(wire, reply)


def _exchange(wire: Wire, script: tuple[str, ...], limit: float, secrets: tuple[str, ...]) -> Reply:
    for line in script:
        try:
            reply = wire.command(f"{line}\r\n".encode(), limit, Stage.AUTH).without(secrets)
        except SmtpError as error:
            raise SmtpError(error.stage, error.reason, blot(error.detail, secrets)) from None
        if reply.code != CONTINUE:
            break
    return reply


def _not_offered(wire: Wire, can: Capabilities, wanted: str) -> SmtpError:
    told = ", ".join(can.auth) or "no login"
    return wire.fail(Stage.AUTH, Reason.UNSUPPORTED, f"login by {wanted} is not offered, but {told}")


def _refused(wire: Wire, reply: Reply) -> SmtpError:
    reason = Reason.AUTH if reply.permanent else Reason.REJECTED
    return wire.fail(Stage.AUTH, reason, f"the login was refused: {reply}", reply)


def _b64(data: bytes) -> str:
    return b64encode(data).decode()
