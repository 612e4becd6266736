"""Login: with a token XOAUTH2, else OAUTHBEARER; with a password SASL PLAIN (RFC 4616), else LOGIN."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from contextlib import suppress

from services.smtp.bearer import MECHANISMS, Bearer, bearer
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
            sasl = sasl_of(endpoint, [one.removeprefix("AUTH=") for one in capabilities])
            _authenticate(protocol, sasl.mechanism, [sasl.start, sasl.end])
            return sasl.mechanism
        if endpoint.password is None:
            raise ImapError(Reason.AUTH, "no password is stored")
        return _password(protocol, endpoint.username, endpoint.password, capabilities)
    except ImapError as error:
        secrets = secrets_of(endpoint)
        raise ImapError(error.reason, blot(error.detail, secrets), error.code) from None


def sasl_of(endpoint: Endpoint, offered: Collection[str]) -> Bearer:
    """What to say with the endpoint's token. `unsupported` where no token is taken."""
    assert endpoint.token is not None
    try:
        sasl = bearer(offered, endpoint.username, endpoint.token, endpoint.host, endpoint.port)
    except ValueError as error:
        raise ImapError(Reason.AUTH, str(error)) from None
    if sasl is None:
        raise ImapError(Reason.UNSUPPORTED, f"the server does not offer login by {' or '.join(MECHANISMS)}")
    return sasl


def _password(protocol: Protocol, username: str, password: str, capabilities: Collection[str]) -> str:
    if any(one in username + password for one in "\0\r\n"):
        raise ImapError(Reason.AUTH, "the username or password holds a control character")
    if "AUTH=PLAIN" in capabilities:
        _authenticate(protocol, "PLAIN", [f"\0{username}\0{password}".encode()])
        return "PLAIN"
    if "LOGINDISABLED" in capabilities:
        raise ImapError(Reason.UNSUPPORTED, "the server takes no password on this connection")
    try:
        protocol.run("LOGIN", _quoted(username), _quoted(password), limit=protocol.limits.greeting)
    except ImapError as error:
        raise _judged(error) from None
    protocol.state = "AUTH"
    return "LOGIN"


def _authenticate(protocol: Protocol, mechanism: str, replies: list[bytes]) -> None:
    try:
        protocol.authenticate_by(mechanism, replies)
    except ImapError as error:
        raise _judged(error) from None


def _judged(error: ImapError) -> ImapError:
    if error.reason is not Reason.REJECTED or error.code in _NOT_NOW or NOT_NOW_TEXT.search(error.detail):
        return error
    return ImapError(Reason.AUTH, error.detail, error.code)


def _quoted(text: str) -> bytes:
    return b'"' + text.encode().replace(b"\\", rb"\\").replace(b'"', rb"\"") + b'"'


def secrets_of(endpoint: Endpoint) -> tuple[str, ...]:
    """All that a server may echo of what it was told."""
    plain = [one for one in (endpoint.password, endpoint.token) if one]
    sasl = [f"\0{endpoint.username}\0{endpoint.password}".encode("utf-8", "replace")]
    with suppress(ValueError):  # then nothing was said
        told = (
            bearer([one], endpoint.username, endpoint.token or "", endpoint.host, endpoint.port)
            for one in MECHANISMS
        )
        sasl += [one.start for one in told if one]
    return (*plain, *(base64.b64encode(one).decode() for one in sasl))
