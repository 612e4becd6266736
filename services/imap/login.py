"""Login: XOAUTH2 with a token; with a password SASL PLAIN (RFC 4616), else LOGIN."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection

from services.smtp.reply import blot

from .endpoint import Endpoint
from .errors import ImapError, Reason
from .protocol import Protocol

# RFC 5530, and what the large providers say: the server is busy or broken, and the password may well be good.
_NOT_NOW = {"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "CONTACTADMIN", "OVERQUOTA"}
NOT_NOW_TEXT = re.compile(
    r"too many|try again|temporar|unavailable|rate limit|throttl|server busy|internal error|simultaneous",
    re.IGNORECASE,
)


def log_in(protocol: Protocol, endpoint: Endpoint, capabilities: Collection[str]) -> str:
    """Returns the mechanism used. `auth`: these credentials will not do. `rejected`: not now."""
    try:
        if endpoint.token is not None:
            return _xoauth2(protocol, endpoint.username, endpoint.token, capabilities)
        if endpoint.password is None:
            raise ImapError(Reason.AUTH, "no password is stored")
        return _password(protocol, endpoint.username, endpoint.password, capabilities)
    except ImapError as error:
        secrets = secrets_of(endpoint)
        raise ImapError(error.reason, blot(error.detail, secrets), error.code) from None


def _xoauth2(protocol: Protocol, username: str, token: str, capabilities: Collection[str]) -> str:
    if "AUTH=XOAUTH2" not in capabilities:
        raise ImapError(Reason.UNSUPPORTED, "the server does not offer login by XOAUTH2")
    if any(one in username + token for one in "\0\1\r\n"):
        raise ImapError(Reason.AUTH, "the username or token holds a control character")
    # A refusal comes as a challenge, to be answered with an empty line.
    _authenticate(protocol, "XOAUTH2", f"user={username}\1auth=Bearer {token}\1\1".encode())
    return "XOAUTH2"


def _password(protocol: Protocol, username: str, password: str, capabilities: Collection[str]) -> str:
    if any(one in username + password for one in "\0\r\n"):
        raise ImapError(Reason.AUTH, "the username or password holds a control character")
    if "AUTH=PLAIN" in capabilities:
        _authenticate(protocol, "PLAIN", f"\0{username}\0{password}".encode())
        return "PLAIN"
    if "LOGINDISABLED" in capabilities:
        raise ImapError(Reason.UNSUPPORTED, "the server takes no password on this connection")
    try:
        protocol.run("LOGIN", _quoted(username), _quoted(password), limit=protocol.limits.greeting)
    except ImapError as error:
        raise _judged(error) from None
    protocol.state = "AUTH"
    return "LOGIN"


def _authenticate(protocol: Protocol, mechanism: str, reply: bytes) -> None:
    try:
        protocol.authenticate_by(mechanism, [reply])
    except ImapError as error:
        raise _judged(error) from None


def _judged(error: ImapError) -> ImapError:
    if error.reason is not Reason.REJECTED or error.code in _NOT_NOW or NOT_NOW_TEXT.search(error.detail):
        return error
    return ImapError(Reason.AUTH, error.detail, error.code)


def _quoted(text: str) -> bytes:
    return b'"' + text.encode().replace(b"\\", rb"\\").replace(b'"', rb"\"") + b'"'


def secrets_of(endpoint: Endpoint) -> tuple[str, ...]:
    plain = [one for one in (endpoint.password, endpoint.token) if one]
    sasl = [
        base64.b64encode(text.encode("utf-8", "replace")).decode()
        for text in (
            f"\0{endpoint.username}\0{endpoint.password}",
            f"user={endpoint.username}\1auth=Bearer {endpoint.token}\1\1",
        )
    ]
    return (*plain, *sasl)
