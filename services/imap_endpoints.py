"""From an account to what the IMAP client needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

from models.account import Account
from services import credentials
from services.imap import Client, Endpoint, ImapError, Limits, Reason
from services.imap.wire import Wire
from services.relay import Relay
from utils.crypto import DecryptionError


def open_account(
    relay: Relay,
    account: Account,
    limits: Limits | None = None,
    on_wire: Callable[[Wire], None] = lambda wire: None,
) -> Client:
    """A connection, logged in. ImapError (`auth`) while nothing is stored that logs in to it."""
    return Client.open(endpoint_of(relay, account), limits, on_wire=on_wire)


def endpoint_of(relay: Relay, account: Account) -> Endpoint:
    """Accounts belong to tenants: they may aim us at private addresses only where that is allowed to all."""
    try:
        secret = credentials.secret_of(relay, account)
    except DecryptionError as error:
        raise ImapError(Reason.AUTH, str(error)) from None
    if secret is None:
        raise ImapError(Reason.AUTH, "no credential is stored for this account")
    return endpoint_with(relay, account, secret)


def endpoint_with(relay: Relay, account: Account, secret: credentials.Secret) -> Endpoint:
    """The same with a secret of the caller's."""
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
