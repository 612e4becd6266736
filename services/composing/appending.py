"""Puts copies of sent mail into an account's Sent folder, each exactly once.

What cannot be known is asked for: a connection or process that died between the APPEND and its record may have left the
copy there, so the folder is searched for its Message-ID before every APPEND. That also finds the copy of a provider
that keeps one by itself. The search and the APPEND are made under one lease, so that no two processes do it at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from models.account import Account, AccountState
from models.database import row, run, write
from models.inbox import Role
from services.composing import copies
from services.composing.copies import Copy
from services.composing.copy_bytes import Message, message_of
from services.imap import Client, ImapError, Limits, Reason, select, string
from services.imap.names import quoted
from services.imap_endpoints import open_account
from services.relay import Relay
from utils.clock import SECOND, now_ms

log = logging.getLogger("mailferry.copies")

NAME = b"Sent"  # of the folder that is made where there is none
BLOCK, BLOCK_TIME = 256 * 1024, 90 * SECOND  # how slowly a server may take a message

LIMITS = Limits(connect=20.0, greeting=30.0, command=60.0, whole=120.0)  # within a lease

Clock = Callable[[], int]


@dataclass(slots=True)
class _SentFolder:
    """The one of this connection."""

    client: Client
    raw_name: bytes

    def has(self, message_id: str) -> bool:
        select(self.client, self.raw_name)  # anew, to see what came since
        return bool(self.client.search("HEADER", "Message-ID", string(message_id)))


def append_for(
    relay: Relay, account_id: str, clock: Clock = now_ms, instance_id: int | None = None
) -> int:  # fmt: skip
    """Make the copies that an account waits for, on one connection; how many are done. Network trouble is no error:
    what it held up is tried again later."""
    batch = copies.claim(account_id, clock(), instance_id)
    account = Account.get_or_none(Account.id == account_id) if batch else None
    if account is None:
        return 0
    try:
        with open_account(relay, account, LIMITS) as client:
            made = _append_all(_SentFolder(client, _sent_folder(client, account)), account, batch, clock)
    except ImapError as exc:
        log.warning("action=copies_delayed account=%s reason=%s error=%r", account_id, exc.reason, str(exc))
        if exc.reason is Reason.AUTH:
            _needs_reauth(account, str(exc), clock())
        copies.unreachable(batch, str(exc), clock())
        return 0
    if made:
        _show_soon(account, clock())
    return made


def _append_all(folder: _SentFolder, account: Account, batch: list[Copy], clock: Clock) -> int:
    made = 0
    for number, copy in enumerate(batch):
        try:
            made += _append(folder, account, copy, clock)
        except ImapError as exc:  # the connection is gone, and this copy may be why
            log.warning(
                "action=copy_failed email=%s account=%s error=%r", copy.email_id, account.id, str(exc)
            )
            copies.failed(copy, str(exc), clock())
            copies.give_back(batch[number + 1 :])
            break
    return made


def _show_soon(account: Account, now: int) -> None:
    """Sync brings the copies here with its next pass."""
    write(
        lambda: run(
            "UPDATE accounts SET next_sync_at = ? WHERE id = ? AND next_sync_at > ? AND is_sync_enabled",
            now, account.id, now,
        )
    )  # fmt: skip


def _needs_reauth(account: Account, error: str, now: int) -> None:
    """No further login until its user has changed something. Unless that has just happened."""
    changed = write(
        lambda: run(
            "UPDATE accounts SET state = ?, last_error = ?, updated_at = ?"
            " WHERE id = ? AND state = ? AND updated_at = ?",
            AccountState.NEEDS_REAUTH, error, now, account.id, AccountState.ACTIVE, account.updated_at,
        )
    )  # fmt: skip
    if changed:
        log.warning("action=needs_reauth account=%s", account.id)


def _append(folder: _SentFolder, account: Account, copy: Copy, clock: Clock) -> bool:
    """One copy; whether it is there now. ImapError where the connection is no more."""
    message = message_of(copy.email_id, account)
    if message is None:
        copies.failed(copy, "its content was erased before it could be copied", clock(), for_good=True)
        return False
    try:
        return _make(folder, account, copy, message, clock)
    except ImapError as exc:
        if not exc.is_answer:
            raise
        log.warning("action=copy_failed email=%s account=%s error=%r", copy.email_id, account.id, str(exc))
        copies.failed(copy, str(exc), clock())
        return False


def _make(folder: _SentFolder, account: Account, copy: Copy, message: Message, clock: Clock) -> bool:
    """Whoever has lost the lease keeps away; it is looked at last thing before the APPEND."""
    needed = _time_for(len(message.data))
    if not copies.hold(copy, clock(), needed):
        return False
    uid = None
    if not folder.has(message.message_id):
        if not copies.hold(copy, clock(), needed):
            return False
        told = folder.client.append(folder.raw_name, message.data, ["\\Seen"], message.sent_at)
        uid = told[1] if told else None
    copies.done(copy, uid, f"Sent of {account.email_address}", clock())
    log.info("action=copied email=%s account=%s uid=%s", copy.email_id, account.id, uid)
    return True


def _time_for(size: int) -> int:
    return (size // BLOCK + 1) * BLOCK_TIME


def _sent_folder(client: Client, account: Account) -> bytes:
    """The one that the user chose, or the server names, or that is called so; made where there is none."""
    chosen = row(
        "SELECT raw_name FROM folders WHERE account_id = ? AND role = ? AND role_by_user AND is_selectable",
        account.id, Role.SENT,
    )  # fmt: skip
    listed = client.folders()
    names = {one.raw_name for one in listed if one.is_selectable}
    if chosen is not None and bytes(chosen[0]) in names:
        return bytes(chosen[0])
    for one in listed:
        if one.role is Role.SENT and one.is_selectable:
            return one.raw_name
    return _made(client, listed[0].separator)


def _made(client: Client, separator: str | None) -> bytes:
    """Some servers keep all folders below INBOX."""
    try:
        client.create_folder(NAME)
        name = NAME
    except ImapError as exc:
        if exc.reason is not Reason.REJECTED:
            raise
        name = b"INBOX" + (separator or "/").encode() + NAME
        client.create_folder(name)
    client.protocol.run("SUBSCRIBE", quoted(name))
    return name
