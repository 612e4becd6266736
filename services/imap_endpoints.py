"""From an account to what the IMAP and POP3 clients need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, TypeVar, cast

from models.account import Account
from services import credentials
from services.imap import Client, Endpoint, ImapError, Limits, Reason
from services.imap.wire import Wire
from services.oauth import TokenError
from services.relay import Relay
from utils.crypto import DecryptionError

T = TypeVar("T")


class NoTokenError(ImapError):
    """No access token can be had; the mail server was not asked."""


def open_account(
    relay: Relay,
    account: Account,
    limits: Limits | None = None,
    on_wire: Callable[[Wire], None] = lambda wire: None,
) -> Client:
    """A connection, logged in. ImapError (`auth`) while nothing is stored that logs in to it."""
    return logged_in(relay, account, lambda endpoint: Client.open(endpoint, limits, on_wire=on_wire))


def logged_in(relay: Relay, account: Account, connect: Callable[[Endpoint], T]) -> T:
    """What `connect` makes of the account's endpoint. ImapError."""
    secret = stored_secret(relay, account)
    if secret is None:
        raise ImapError(Reason.AUTH, "no credential is stored for this account")
    return logged_in_with(relay, account, secret, connect)


def logged_in_with(
    relay: Relay, account: Account, secret: credentials.Secret, connect: Callable[[Endpoint], T]
) -> T:
    """The same with a secret at hand. A token that its server no longer takes, though its time is not over, is renewed,
    and tried once more."""
    endpoint = endpoint_with(relay, account, secret)
    try:
        return connect(endpoint)
    except ImapError as error:
        token = _token_after(relay, account, endpoint.token) if error.reason is Reason.AUTH else None
        if token is None:
            raise
    return connect(replace(endpoint, token=token))


def stored_secret(
    relay: Relay, account: Account, *, but: str | None = None, insist: bool = False
) -> credentials.Secret | None:
    """`credentials.secret_of`, whose errors become an ImapError."""
    try:
        return credentials.secret_of(relay, account, but=but, insist=insist)
    except DecryptionError as error:
        raise ImapError(Reason.AUTH, str(error)) from None
    except TokenError as error:
        raise NoTokenError(error.reason, f"no access token: {error}") from error


def _token_after(relay: Relay, account: Account, refused: str | None) -> str | None:
    """None where there is no other. ImapError when none can be had now, which tells nothing about the login."""
    if refused is None:
        return None
    try:
        secret = stored_secret(relay, account, but=refused)
    except ImapError as error:
        if error.reason is Reason.AUTH:
            return None
        raise
    return secret.value if secret is not None and secret.kind == "oauth2" else None


def endpoint_with(relay: Relay, account: Account, secret: credentials.Secret) -> Endpoint:
    """Accounts belong to tenants: they may aim us at private addresses only where that is allowed to all."""
    return Endpoint(
        host=account.hostname,
        port=account.port,
        encryption=cast(Literal["tls", "starttls", "none"], account.encryption),
        verify_tls=account.verify_tls,
        username=account.username,
        password=secret.value if secret.kind == "password" else None,
        token=secret.value if secret.kind == "oauth2" else None,
        allow_private=relay.policy.allow_private_hosts,
    )
