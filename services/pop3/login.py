"""Login: with a token XOAUTH2, else OAUTHBEARER; with a password SASL PLAIN (RFC 5034), else USER and PASS."""

from __future__ import annotations

import base64

from services.imap import Endpoint, ImapError, Reason
from services.imap.login import NOT_NOW_TEXT, sasl_of, secrets_of
from services.smtp.reply import blot

from .protocol import Protocol

# RFC 2449 and RFC 3206: the server is busy or broken, and the password may well be good.
_NOT_NOW = {"IN-USE", "LOGIN-DELAY", "SYS/TEMP", "SYS/PERM"}


def log_in(protocol: Protocol, endpoint: Endpoint, capabilities: tuple[str, ...]) -> str:
    """Returns the mechanism used. `auth`: these credentials will not do. `rejected`: not now."""
    try:
        return _log_in(protocol, endpoint, _mechanisms(capabilities))
    except ImapError as error:
        raise ImapError(_reason(error), blot(error.detail, secrets_of(endpoint)), error.code) from None


def _log_in(protocol: Protocol, endpoint: Endpoint, offered: set[str]) -> str:
    if endpoint.token is not None:
        sasl = sasl_of(endpoint, offered)
        return _sasl(protocol, sasl.mechanism, sasl.start, sasl.end)
    secret = endpoint.password
    if secret is None:
        raise ImapError(Reason.AUTH, "no password is stored")
    if any(one in endpoint.username + secret for one in "\0\1\r\n"):
        raise ImapError(Reason.AUTH, "the username or password holds a control character")
    if "PLAIN" in offered:
        return _sasl(protocol, "PLAIN", f"\0{endpoint.username}\0{secret}".encode())
    limit = protocol.limits.greeting
    protocol.run(f"USER {endpoint.username}", limit, "USER")
    protocol.run(f"PASS {secret}", limit, "PASS")
    return "USER"


def _sasl(protocol: Protocol, mechanism: str, *replies: bytes) -> str:
    protocol.authenticate_by(mechanism, [base64.b64encode(one) for one in replies])
    return mechanism


def _mechanisms(capabilities: tuple[str, ...]) -> set[str]:
    return {word for one in capabilities if one.startswith("SASL ") for word in one.split(" ")[1:]}


def _reason(error: ImapError) -> Reason:
    if error.reason is not Reason.REJECTED or error.code in _NOT_NOW or NOT_NOW_TEXT.search(error.detail):
        return error.reason
    return Reason.AUTH
