"""Changes of a message: on its server first, and here only what the server says then.

Whatever fails in between, the next sync sets right: it takes the server's word in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from models.account import Account
from models.database import write
from models.inbox import Folder, Message, Role
from services.errors import ConflictError, InvalidInputError, MailServerError, NotFoundError
from services.imap import Client, ImapError, fetch, select
from services.inbox import folders, moving
from services.inbox.connections import connection
from services.inbox.keeping import bury, place, store_flags
from services.inbox.view import labels_of
from services.relay import Relay
from services.sync.arrivals import read_flags

SECONDS = 60.0  # for all that a change takes on its server


@dataclass(frozen=True, slots=True)
class Changes:
    """None: as it is."""

    is_read: bool | None = None
    is_starred: bool | None = None
    is_spam: bool | None = None
    labels: list[str] | None = None
    folder_id: str | None = None


Flags = dict[str, list[str]]  # to add (+), and to take away (-)


def change(relay: Relay, account_id: str, message_id: int, wanted: Changes, now: int) -> None:
    """NotFoundError, also when the server has it no more; MailServerError when the server fails or refuses: then
    nothing is changed, or the error says what is."""
    message = _found(account_id, message_id)
    target = _target(account_id, message, wanted)
    asked = _flags(message, wanted)
    with _at(relay, message, now) as client:
        before = _flags_now(client, message, now) if target is not None and any(asked.values()) else None
        _store(client, message.uid, asked)
        flags = _flags_now(client, message, now)
        write(lambda: store_flags(message, flags, now))
        if target is not None:
            try:
                uid = moving.move(client, message, target)
            except (ImapError, MailServerError) as error:
                raise _not_moved(client, message, before, flags, error, now) from error
            write(lambda: place(message, target, uid, now))


def delete(relay: Relay, account_id: str, message_id: int, now: int) -> None:
    """Into the trash; for good from there, or where there is none. Errors as for `change`."""
    message = _found(account_id, message_id)
    trash = folders.with_role(account_id, Role.TRASH)
    if trash is not None and trash.id != message.folder_id:
        change(relay, account_id, message_id, Changes(folder_id=str(trash.id)), now)
        return
    with _at(relay, message, now) as client:
        client.delete([message.uid])
        with suppress(NotFoundError):  # a server without UIDPLUS keeps it, marked as deleted
            left = _flags_now(client, message, now)
            write(lambda: store_flags(message, left, now))


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


def _flags(message: Message, wanted: Changes) -> Flags:
    asked: Flags = {"+": [], "-": []}
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


def _without(some: list[str], others: list[str]) -> list[str]:
    known = {one.lower() for one in others}
    return [one for one in some if one.lower() not in known]


@contextmanager
def _at(relay: Relay, message: Message, now: int) -> Iterator[Client]:
    """A connection with the message's folder selected, to be written to."""
    account = Account.get_or_none(Account.id == message.account_id)
    folder = Folder.get_or_none(Folder.id == message.folder_id)
    if account is None or folder is None:
        raise NotFoundError(f"no message {message.id}")
    if account.protocol != "imap":
        raise ConflictError(
            "POP3 servers keep no flags and folders: messages of this account stay as they are"
        )
    with connection(relay, account, SECONDS, now) as client:
        if select(client, bytes(folder.raw_name), readonly=False).uidvalidity != message.uidvalidity:
            raise ConflictError("the folder was made anew since the last sync: sync it first")
        yield client


def _store(client: Client, uid: int, asked: Flags) -> None:
    for sign, flags in asked.items():
        if flags:
            client.store([uid], f"{sign}FLAGS", flags)


def _flags_now(client: Client, message: Message, now: int) -> list[str]:
    """NotFoundError when it is gone. A STORE to what is gone is no error (RFC 9051 6.4.9)."""
    told = fetch(client, str(message.uid), "UID FLAGS").messages.get(message.uid)
    if told is None or b"FLAGS" not in told:
        write(lambda: bury(message, now))
        raise NotFoundError(f"no message {message.id}")
    return read_flags(told)


def _not_moved(
    client: Client, message: Message, before: list[str] | None, flags: list[str], error: Exception, now: int
) -> Exception:
    """What to raise. Flags that were changed for the move's sake are put back, where the server still listens."""
    if before is None or before == flags or isinstance(error, MailServerError):
        return error
    back = {"+": _without(before, flags), "-": _without(flags, before)}
    try:
        _store(client, message.uid, back)
        left = _flags_now(client, message, now)
        write(lambda: store_flags(message, left, now))
    except (ImapError, NotFoundError):
        left = flags
    if left == before:
        return error
    return MailServerError(f"read, starred and labels were changed; the move failed: {error}")
