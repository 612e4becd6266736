"""Connections to mail accounts for those who wait for an answer: kept for a while, so that several changes in a row
take one login."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from models.account import Account, AccountState
from models.database import run, write
from services.credentials import Secret
from services.errors import BusyError, ConflictError, MailServerError, ServiceError
from services.imap import Client, Endpoint, ImapError, Limits, Reason
from services.imap_endpoints import NoTokenError, endpoint_with, logged_in_with, stored_secret
from services.relay import Relay
from utils.pool import NoPlaceError

log = logging.getLogger("mailferry.inbox")

LIMITS = Limits(connect=10.0, greeting=15.0, command=30.0, whole=60.0)
PATIENCE = 5.0  # seconds, for a connection of the account to become free
_PULSE = 5.0  # seconds within which an idle one shows that it lives


@contextmanager
def connection(relay: Relay, account: Account, seconds: float, now: int) -> Iterator[Client]:
    """For so long, nobody else's. MailServerError for what the server refuses or fails at; ConflictError when there
    is nothing to log in with; BusyError when all of the account's connections are in use."""
    secret = usable_secret(relay, account)
    version = _version(relay, account, secret)
    client = _take(relay, account, version)
    is_clean = False
    try:
        client = _living(client) or logged_in_with(relay, account, secret, _opened)
        client.protocol.wire.allow(seconds)
        yield client
        is_clean = True
    except ImapError as error:
        is_clean = error.is_answer
        raise failed(account, error, now) from error
    except (ServiceError, GeneratorExit):  # between two commands
        is_clean = True
        raise
    finally:
        kept = client if is_clean and client is not None and client.is_open else None
        if kept is None and client is not None:
            client.close()
        relay.mailboxes.give_back(account.id, version, kept)


def usable_secret(relay: Relay, account: Account) -> Secret:
    """ConflictError where there is none, MailServerError where no token can be had. Nobody is asked with a login that
    was refused before: providers lock accounts for it."""
    if account.state == AccountState.NEEDS_REAUTH:
        raise ConflictError(
            f"the mail server refused the login: renew the account's credential ({account.last_error or ''})",
            code="NEEDS_REAUTH",
        )
    try:
        secret = stored_secret(relay, account)
    except ImapError as error:
        raise _told(error) from error
    if secret is None:
        raise ConflictError("no credential is stored for this account", code="NEEDS_CREDENTIALS")
    return secret


def _version(relay: Relay, account: Account, secret: Secret) -> Endpoint:
    """A connection of other settings is not used again; one that an older token opened is."""
    endpoint = endpoint_with(relay, account, secret)
    return replace(endpoint, token="") if endpoint.token else endpoint


def _take(relay: Relay, account: Account, version: Endpoint) -> Client | None:
    try:
        return relay.mailboxes.take(account.id, version, PATIENCE)
    except NoPlaceError:
        raise BusyError("all connections to this account are in use: try again in a moment") from None


def _living(client: Client | None) -> Client | None:
    """One of before, if it still is one."""
    if client is not None:
        try:
            client.protocol.wire.allow(_PULSE)
            client.protocol.run("NOOP", limit=_PULSE)
            return client
        except ImapError:
            client.close()
    return None


def _opened(endpoint: Endpoint) -> Client:
    return Client.open(endpoint, LIMITS)


def failed(account: Account, error: ImapError, now: int) -> MailServerError:
    """For whoever asked. That a login was refused is noted."""
    if error.reason is Reason.AUTH and not isinstance(error, NoTokenError):
        _note_refusal(account, error.detail, now)
    return _told(error)


def _note_refusal(account: Account, detail: str, now: int) -> None:
    """As when a sync meets it; unless its settings have changed since."""
    write(
        lambda: run(
            "UPDATE accounts SET state = ?, last_error = ?, updated_at = ? WHERE id = ? AND state = ?"
            " AND updated_at = ?",
            AccountState.NEEDS_REAUTH, detail[:1_000], now, account.id, AccountState.ACTIVE, account.updated_at,
        )
    )  # fmt: skip


def _told(error: ImapError) -> MailServerError:
    code = "NEEDS_REAUTH" if error.reason is Reason.AUTH else None
    return MailServerError(f"the mail server did not do it: {error}", code=code)
