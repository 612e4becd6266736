"""Connections to mail accounts for those who wait for an answer: kept for a while, so that several changes in a row
take one login."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from models.account import Account, AccountState
from models.database import run, write
from services.errors import BusyError, ConflictError, MailServerError, ServiceError
from services.imap import Client, Endpoint, ImapError, Limits, Reason
from services.imap_endpoints import endpoint_of
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
    endpoint = _endpoint(relay, account)
    client = _take(relay, account, endpoint)
    is_clean = False
    try:
        client = _living(client, endpoint)
        client.protocol.wire.allow(seconds)
        yield client
        is_clean = True
    except ImapError as error:
        is_clean = error.is_answer
        if error.reason is Reason.AUTH:
            _note_refusal(account, error.detail, now)
        raise _told(error) from error
    except (ServiceError, GeneratorExit):  # between two commands
        is_clean = True
        raise
    finally:
        kept = client if is_clean and client is not None and client.is_open else None
        if kept is None and client is not None:
            client.close()
        relay.mailboxes.give_back(account.id, endpoint, kept)


def _endpoint(relay: Relay, account: Account) -> Endpoint:
    """Nobody is asked with a login that was refused before: providers lock accounts for it."""
    if account.state == AccountState.NEEDS_REAUTH:
        raise ConflictError(
            f"the mail server refused the login: renew the account's credential ({account.last_error or ''})",
            code="NEEDS_REAUTH",
        )
    try:
        return endpoint_of(relay, account)
    except ImapError as error:
        raise ConflictError(str(error), code="NEEDS_CREDENTIALS") from None


def _take(relay: Relay, account: Account, endpoint: Endpoint) -> Client | None:
    try:
        return relay.mailboxes.take(account.id, endpoint, PATIENCE)
    except NoPlaceError:
        raise BusyError("all connections to this account are in use: try again in a moment") from None


def _living(client: Client | None, endpoint: Endpoint) -> Client:
    """One of before, if it still is one; else a new one."""
    if client is not None:
        try:
            client.protocol.wire.allow(_PULSE)
            client.protocol.run("NOOP", limit=_PULSE)
            return client
        except ImapError:
            client.close()
    return Client.open(endpoint, LIMITS)


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
