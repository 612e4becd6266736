"""Changes of a message: on its server first, and here only what the server says then.

Whatever fails in between, the next sync sets right: it takes the server's word in any case.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from models.account import Account
from models.database import row, run, write
from models.inbox import Folder, Letter, Message, Role
from services.errors import ConflictError, FieldError, InvalidInputError, MailServerError, NotFoundError
from services.imap import Client, ImapError, Limits, fetch, select, string
from services.imap_endpoints import open_account
from services.inbox import folders
from services.inbox.view import labels_of
from services.relay import Relay

LIMITS = Limits(connect=10.0, greeting=15.0, command=30.0, whole=60.0)


@dataclass(frozen=True, slots=True)
class Changes:
    """None: as it is."""

    is_read: bool | None = None
    is_starred: bool | None = None
    is_spam: bool | None = None
    labels: list[str] | None = None
    folder_id: str | None = None


def change(relay: Relay, account_id: str, message_id: int, wanted: Changes, now: int) -> None:
    """NotFoundError, also when the server has it no more; MailServerError when the server fails or refuses."""
    message = _found(account_id, message_id)
    target = _target(account_id, message, wanted)
    with _at(relay, message) as client:
        for sign, flags in _flags(message, wanted).items():
            if flags:
                _store(client, message, f"{sign}FLAGS", flags)
        flags_now = _flags_now(client, message.uid)
        if flags_now is None:
            write(lambda: _bury(message, now))
            raise NotFoundError(f"no message {message_id}")
        write(lambda: _store_flags(message, flags_now, now))
        if target is not None:
            uid = _move(client, message, target)
            write(lambda: _place(message, target, uid, now))


def delete(relay: Relay, account_id: str, message_id: int, now: int) -> None:
    """Into the trash; for good from there, or where there is none. Errors as for `change`."""
    message = _found(account_id, message_id)
    trash = folders.with_role(account_id, Role.TRASH)
    if trash is not None and trash.id != message.folder_id:
        change(relay, account_id, message_id, Changes(folder_id=str(trash.id)), now)
        return
    with _at(relay, message) as client:
        client.delete([message.uid])
        left = _flags_now(client, message.uid)  # a server without UIDPLUS keeps it, marked as deleted
    if left is None:
        write(lambda: _bury(message, now))
    else:
        write(lambda: _store_flags(message, left, now))


def _found(account_id: str, message_id: int) -> Message:
    found: Message | None = Message.get_or_none(
        Message.id == message_id, Message.account_id == account_id, Message.gone_at.is_null()
    )
    if found is None:
        raise NotFoundError(f"no message {message_id}")
    return found


def _target(account_id: str, message: Message, wanted: Changes) -> Folder | None:
    """None: it stays where it is."""
    if wanted.folder_id is not None:
        target = Folder.get_or_none(Folder.id == int(wanted.folder_id), Folder.account_id == account_id)
        if target is None or not target.is_selectable:
            raise InvalidInputError("folderId: the account has no such folder", field="folderId")
    elif wanted.is_spam is not None:
        spam = folders.with_role(account_id, Role.SPAM)
        if spam is None:
            raise ConflictError("the account has no spam folder")
        if (spam.id == message.folder_id) == wanted.is_spam:
            return None
        target = spam if wanted.is_spam else folders.with_role(account_id, Role.INBOX)
    else:
        return None
    return None if target is None or target.id == message.folder_id else target


def _flags(message: Message, wanted: Changes) -> dict[str, list[str]]:
    """What to add (+) and to take away (-)."""
    asked: dict[str, list[str]] = {"+": [], "-": []}
    for flag, value in (("\\Seen", wanted.is_read), ("\\Flagged", wanted.is_starred)):
        if value is not None:
            asked["+" if value else "-"].append(flag)
    if wanted.labels is not None:
        here = labels_of(message.flags)
        asked["+"] += _without(wanted.labels, here)
        asked["-"] += _without(here, wanted.labels)
    if wanted.is_spam is False:
        asked["-"] += [one for one in message.flags if one.lower() == "$junk"]
    return asked


def _store(client: Client, message: Message, change: str, flags: list[str]) -> None:
    """What a server does not take by its nature, such as too long a label, is for the caller to mend."""
    try:
        client.store([message.uid], change, flags)
    except ImapError as error:
        if error.code not in ("CANNOT", "LIMIT"):
            raise
        wrong = FieldError("labels", f"the mail server does not take them: {error}")
        raise InvalidInputError.of([wrong]) from None


def _without(some: list[str], others: list[str]) -> list[str]:
    known = {one.lower() for one in others}
    return [one for one in some if one.lower() not in known]


@contextmanager
def _at(relay: Relay, message: Message) -> Iterator[Client]:
    """A connection with the message's folder selected, to be written to."""
    account = Account.get_by_id(message.account_id)
    if account.protocol != "imap":
        raise ConflictError(
            "POP3 servers keep no flags and folders: messages of this account stay as they are"
        )
    folder = Folder.get_by_id(message.folder_id)
    try:
        with open_account(relay, account, LIMITS) as client:
            if select(client, bytes(folder.raw_name), readonly=False).uidvalidity != message.uidvalidity:
                raise ConflictError("the folder was made anew since the last sync: sync it first")
            yield client
    except ImapError as error:
        raise MailServerError(f"the mail server did not do it: {error}") from error


def _flags_now(client: Client, uid: int) -> list[str] | None:
    """None when it is gone. A STORE to what is gone is no error (RFC 9051 6.4.9)."""
    told = fetch(client, str(uid), "UID FLAGS").messages.get(uid)
    if told is None or b"FLAGS" not in told:
        return None
    names = {one.decode("utf-8", "replace") for one in told[b"FLAGS"] if isinstance(one, bytes)}
    return sorted(one for one in names if one.lower() != "\\recent")


def _move(client: Client, message: Message, target: Folder) -> int | None:
    """Its UID there, where the server tells (UIDPLUS), else that of the newest with its Message-ID."""
    moved = client.move([message.uid], bytes(target.raw_name))
    if moved is not None:
        return moved.get(message.uid)
    message_id = str(Letter.get_by_id(message.letter_id).message_id)
    if not message_id or not message_id.isascii() or not message_id.isprintable():
        return None
    select(client, bytes(target.raw_name))
    return max(client.search("HEADER", "Message-ID", string(message_id)), default=None)


# Inside write jobs.


def _store_flags(message: Message, flags: list[str], now: int) -> None:
    run(
        "UPDATE messages SET flags = ?, is_read = ?, is_starred = ?, updated_at = ? WHERE id = ?",
        json.dumps(flags), "\\Seen" in flags, "\\Flagged" in flags, now, message.id,
    )  # fmt: skip
    _count(message.folder_id)


def _bury(message: Message, now: int) -> None:
    run("UPDATE messages SET gone_at = ?, updated_at = ? WHERE id = ?", now, now, message.id)
    _count(message.folder_id)


def _place(message: Message, target: Folder, uid: int | None, now: int) -> None:
    """Where the server does not tell its new UID, the next sync finds it there and gives it its row again."""
    if uid is None or target.uidvalidity is None:
        _bury(message, now)
        return
    where = (target.id, target.uidvalidity, uid)
    other = row("SELECT id FROM messages WHERE folder_id = ? AND uidvalidity = ? AND uid = ?", *where)
    if other is not None and other[0] != message.id:  # a sync was quicker: the id that people know stays
        run("DELETE FROM messages WHERE id = ?", other[0])
    run(
        "UPDATE messages SET folder_id = ?, uidvalidity = ?, uid = ?, modseq = 0, gone_at = NULL, updated_at = ?"
        " WHERE id = ?",
        *where, now, message.id,
    )  # fmt: skip
    _count(message.folder_id)
    _count(target.id)


def _count(folder_id: int) -> None:
    run(
        "UPDATE folders SET"
        " message_count = (SELECT count(*) FROM messages m WHERE m.folder_id = folders.id AND m.gone_at IS NULL),"
        " unread_count = (SELECT count(*) FROM messages m WHERE m.folder_id = folders.id AND m.gone_at IS NULL"
        " AND NOT m.is_read) WHERE id = ?",
        folder_id,
    )
