"""What is stored of a change that a server has made. All inside write jobs; where a sync has given the message
another place meanwhile, it knows better."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from models.database import row, run
from models.inbox import Folder, Message
from services.sync import relabel
from services.sync.erase import erase_letters


@dataclass(frozen=True, slots=True)
class Told:
    """What the server says of a message: `labels` at Gmail alone; `modseq` 0 where it keeps none."""

    flags: list[str]
    labels: list[str] | None
    modseq: int


def store_told(message: Message, real: Message, target: Folder | None, told: Told, now: int) -> None:
    """`message` is the row that was named, `real` that of what lies on the server: at Gmail, labels are shown by rows
    of their own. `target`: a label that it has been given."""
    store_flags(relabel.follow(message, real, target), told, now)
    if real.labels is not None:
        _recount({message.folder_id})


def store_flags(message: Message, told: Told, now: int) -> None:
    """Unless a sync has been told newer ones meanwhile."""
    held = _held(message)
    if held is None or held[2] > told.modseq:
        return
    is_read = "\\Seen" in told.flags
    run(
        "UPDATE messages SET flags = ?, is_read = ?, is_starred = ?, labels = ?, modseq = ?, updated_at = ?"
        " WHERE id = ?",
        json.dumps(told.flags), is_read, "\\Flagged" in told.flags,
        None if message.labels is None else json.dumps(told.labels or []), told.modseq, now, message.id,
    )  # fmt: skip
    if held[1] is None:
        _count(message.folder_id, 0, int(held[0]) - is_read)
    _show(message)


def bury(message: Message, now: int) -> None:
    """It is gone on the server."""
    held = _held(message)
    if held is not None and held[1] is None:
        run("UPDATE messages SET gone_at = ?, updated_at = ? WHERE id = ?", now, now, message.id)
        _count(message.folder_id, -1, int(held[0]) - 1)
        _show(message)


def place_labelled(message: Message, into: Folder, where: Folder, uid: int | None, now: int) -> None:
    """At Gmail, `where` it lies; `into` may be a label that shows it there."""
    real = relabel.follow(message, relabel.real_of(message), where)
    place(real, where, uid, now)
    if into.label is not None:
        relabel.add_label(real, into.label)
    _show(real, message.folder_id)


def place(message: Message, target: Folder, uid: int | None, now: int) -> None:
    """In another folder. Without a UID it is not listed there until a sync, which is due at once, has found it: that
    gives it its row again, and so its id."""
    held = _held(message)
    if held is None:
        return
    unread = 1 - int(held[0])
    if held[1] is None:
        _count(message.folder_id, -1, -unread)
    where: tuple[Any, ...] = (target.id, target.uidvalidity or 0, uid or -message.id)
    if uid is not None:
        _make_room(message, where)
        _count(target.id, 1, unread)
    else:
        run(
            "UPDATE accounts SET next_sync_at = ? WHERE id = ? AND next_sync_at > ?",
            now,
            message.account_id,
            now,
        )
    run(
        "UPDATE messages SET folder_id = ?, uidvalidity = ?, uid = ?, modseq = 0, gone_at = ?, updated_at = ?"
        " WHERE id = ?",
        *where, None if uid is not None else now, now, message.id,
    )  # fmt: skip


def _held(message: Message) -> tuple[Any, ...] | None:
    """Whether it is read, since when it is gone, and its MODSEQ; None when it is no longer where it was."""
    return row(
        "SELECT is_read, gone_at, modseq FROM messages WHERE id = ? AND folder_id = ? AND uidvalidity = ? AND uid = ?"
        " /*pg FOR UPDATE*/",
        message.id, message.folder_id, message.uidvalidity, message.uid,
    )  # fmt: skip


def _make_room(message: Message, where: tuple[Any, ...]) -> None:
    """A sync may have been quicker, and have taken it for a new one: the id that people know stays."""
    other = row(
        "SELECT id, letter_id, is_read, gone_at FROM messages WHERE folder_id = ? AND uidvalidity = ? AND uid = ?",
        *where,
    )
    if other is not None:
        run("DELETE FROM messages WHERE id = ? OR view_of = ?", other[0], other[0])
        erase_letters(message.account_id, [other[1]])
        if other[3] is None:
            _count(where[0], -1, int(other[2]) - 1)


def _show(message: Message, *left: int) -> None:
    """At Gmail: under the labels that it has now. `left`: folders that it was in."""
    if message.labels is not None:
        _recount(relabel.shown(message) | set(left))


def _recount(folder_ids: set[int]) -> None:
    for one in folder_ids:
        run(
            "UPDATE folders SET"
            " message_count = (SELECT count(*) FROM messages m WHERE m.folder_id = folders.id AND m.gone_at IS NULL),"
            " unread_count = (SELECT count(*) FROM messages m WHERE m.folder_id = folders.id AND m.gone_at IS NULL"
            " AND NOT m.is_read) WHERE id = ?",
            one,
        )


def _count(folder_id: int, messages: int, unread: int) -> None:
    """The next sync of the folder counts again."""
    run(
        "UPDATE folders SET message_count = message_count + ?, unread_count = unread_count + ? WHERE id = ?",
        messages, unread, folder_id,
    )  # fmt: skip
