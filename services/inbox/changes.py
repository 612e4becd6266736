"""Changes of a message: on its server first, and here only what the server says then.

Whatever fails in between, the next sync sets right: it takes the server's word in any case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from models.account import Account
from models.database import write
from models.inbox import Folder, Message, Role
from services.errors import ConflictError, FieldError, InvalidInputError, MailServerError, NotFoundError
from services.imap import Client, ImapError, fetch, labels, select
from services.inbox import folders, keeping, moving
from services.inbox.connections import connection
from services.inbox.keeping import Told
from services.inbox.view import KEYWORDS, labels_of
from services.relay import Relay
from services.sync import relabel
from services.sync.arrivals import read_flags, read_modseq

SECONDS = 60.0  # for all that a change takes on its server
# Of IMAP (RFC 9051, flag-keyword); those with a $ are not people's.
_KEYWORD = re.compile(r"""(?!\$)[^\x00-\x20\x7f-\U0010ffff(){}%*"\\\]]+""")


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
    real = relabel.real_of(message)
    asked = _flags(real, wanted)
    with _at(relay, real, now) as client:
        before = _told(client, real, now) if target is not None and any(asked.values()) else None
        _store(client, real.uid, asked)
        into = target
        if real.labels is not None:
            into = relabel.relabel(client, message, real, wanted.labels, target)
        told = _told(client, real, now)
        write(lambda: keeping.store_told(message, real, None if into else target, told, now))
        if into is not None:
            try:
                _move(client, message, real, into, now)
            except (ImapError, MailServerError) as error:
                raise _not_moved(client, real, before, told, error, now) from error


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
            left = _told(client, message, now)
            write(lambda: keeping.store_flags(message, left, now))


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
            raise InvalidInputError.of([FieldError("folderId", "the account has no such folder")])
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
    if wanted.labels is not None and message.labels is None:
        _check_keywords(wanted.labels)
        here = labels_of(message.flags)
        asked["+"] += _without(wanted.labels, here)
        asked["-"] += _without(here, wanted.labels)
    if wanted.is_spam is False:
        asked["-"] += [one for one in message.flags if one.lower() == "$junk"]
    return asked


def _check_keywords(labels: list[str]) -> None:
    wrong = [
        FieldError(f"labels.{at}", "this server keeps labels as keywords: no spaces, no letters but ASCII's, none of"
                   ' (){}%*"\\], and no $ in front', "INVALID_VALUE")
        for at, one in enumerate(labels) if not _KEYWORD.fullmatch(one)
    ]  # fmt: skip
    wrong += [
        FieldError(f"labels.{at}", "is a word of the servers' own", "INVALID_VALUE")
        for at, one in enumerate(labels)
        if one.lower() in KEYWORDS
    ]
    if wrong:
        raise InvalidInputError.of(wrong)


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
            try:
                client.store([uid], f"{sign}FLAGS", flags)
            except ImapError as error:
                if error.code not in ("CANNOT", "LIMIT"):
                    raise
                wrong = FieldError(
                    "labels", f"the mail server does not take them: {error}"
                )  # such as one too long
                raise InvalidInputError.of([wrong]) from None


def _told(client: Client, message: Message, now: int) -> Told:
    """NotFoundError when it is gone. A STORE to what is gone is no error (RFC 9051 6.4.9)."""
    items = "UID FLAGS MODSEQ" if client.has_condstore else "UID FLAGS"
    items += " X-GM-LABELS" if client.has(labels.CAPABILITY) else ""
    told = fetch(client, str(message.uid), items).messages.get(message.uid)
    if told is None or b"FLAGS" not in told:
        write(lambda: keeping.bury(message, now))
        raise NotFoundError(f"no message {message.id}")
    return Told(read_flags(told), labels.read_labels(told), read_modseq(told))


def _move(client: Client, message: Message, real: Message, into: Folder, now: int) -> None:
    if real.labels is None:
        uid = moving.move(client, real, into)
        write(lambda: keeping.place(real, into, uid, now))
    else:
        place, uid = relabel.move(client, real, into)
        write(lambda: keeping.place_labelled(message, into, place, uid, now))


def _not_moved(
    client: Client, message: Message, before: Told | None, after: Told, error: Exception, now: int
) -> Exception:
    """What to raise. Flags that were changed for the move's sake are put back, where the server still listens."""
    if before is None or before.flags == after.flags or isinstance(error, MailServerError):
        return error
    back = {"+": _without(before.flags, after.flags), "-": _without(after.flags, before.flags)}
    try:
        _store(client, message.uid, back)
        left = _told(client, message, now)
        write(lambda: keeping.store_flags(message, left, now))
    except (ImapError, NotFoundError):
        left = after
    if left.flags == before.flags:
        return error
    return MailServerError(f"read, starred and labels were changed; the move failed: {error}")
