"""A page of the messages of a folder.

The index gives the ids, the filter included; only those of the page are read. A cursor names the last message of the
page before it, so mail that arrives shifts nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, replace
from typing import Any

from models.database import marks, rows
from services.errors import FieldError, InvalidInputError

MAX_ID = 2**63 - 1
AT_ONCE = 400  # messages that are looked at for their conversations
SORTS = ("receivedAt:asc", "receivedAt:desc", "from:asc", "from:desc")
_COLUMNS = {"receivedAt": ("received_at", "messages_newest"), "from": ("sender", "messages_sender")}
_FILTERS = {
    "all": "", "read": " AND m.is_read", "unread": " AND NOT m.is_read", "starred": " AND m.is_starred",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    sort: str = "receivedAt:desc"
    filter: str = "all"
    conversations: bool = False  # only the newest message of each; by time alone
    limit: int = 50
    offset: int = 0
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    ids: list[int]
    next_cursor: str | None  # None: this is the last page


def folder_page(folder_id: int, wanted: Wanted) -> Page:
    """InvalidInputError for a cursor of another order, and for what does not go together."""
    _check(wanted)
    if wanted.conversations:
        return page_of(_newest_of_each(folder_id, wanted), wanted.limit, wanted.sort)
    sql, params = folder_query(folder_id, wanted)
    found = rows(f"{sql} LIMIT ? OFFSET ?", *params, wanted.limit + 1, wanted.offset)
    return page_of(found, wanted.limit, wanted.sort)


def folder_query(folder_id: int, wanted: Wanted) -> tuple[str, list[Any]]:
    """SQL that gives (id, sort key) of all from the cursor on, and its parameters."""
    name, _, direction = wanted.sort.partition(":")
    column, index = _COLUMNS[name]
    if wanted.filter == "unread" and name == "receivedAt":
        index = "messages_unread"
    terms, params = _FILTERS[wanted.filter], [folder_id]
    if wanted.cursor:
        terms += f" AND (m.{column}, m.id) {'<' if direction == 'desc' else '>'} (?, ?)"
        params += read_cursor(wanted.cursor, wanted.sort)
    return (
        f"SELECT m.id, m.{column} FROM messages m INDEXED BY {index} WHERE m.folder_id = ? AND m.gone_at IS NULL{terms}"
        f" ORDER BY m.{column} {direction}, m.id {direction}"
    ), params  # fmt: skip


def _newest_of_each(folder_id: int, wanted: Wanted) -> list[tuple[Any, ...]]:
    """Of each conversation that the folder has, its newest message there: one more than the page has.

    Each message up to the end of the page is looked at once, and each conversation. A query that asked for each message
    whether there is a newer one would take the square of what a conversation holds, and one may hold all that a
    machine ever reported."""
    newest: dict[int, tuple[int, int]] = {}
    found: list[tuple[Any, ...]] = []
    while len(found) <= wanted.offset + wanted.limit:
        some = _in_order(folder_id, wanted, AT_ONCE)
        newest |= _newest(folder_id, {one[2] for one in some if one[2] is not None} - newest.keys())
        found += [one[:2] for one in some if newest.get(one[2], (one[1], one[0])) == (one[1], one[0])]
        if len(some) < AT_ONCE:
            break
        wanted = replace(wanted, cursor=make_cursor(wanted.sort, some[-1]))
    return found[wanted.offset : wanted.offset + wanted.limit + 1]


def _in_order(folder_id: int, wanted: Wanted, count: int) -> list[tuple[Any, ...]]:
    """(id, sort key, conversation)"""
    sql, params = folder_query(folder_id, wanted)
    order = wanted.sort.partition(":")[2]
    return rows(
        f"SELECT p.id, p.received_at, l.conversation_id FROM ({sql} LIMIT ?) p JOIN messages m ON m.id = p.id"
        f" JOIN letters l ON l.id = m.letter_id ORDER BY p.received_at {order}, p.id {order}",
        *params, count,
    )  # fmt: skip


def _newest(folder_id: int, conversations: set[int]) -> dict[int, tuple[int, int]]:
    """The (received_at, id) of the newest message that the folder has of each."""
    found: dict[int, tuple[int, int]] = {}
    for conversation, received_at, message_id in rows(
        "SELECT l.conversation_id, m.received_at, m.id FROM letters l INDEXED BY letters_conversation"
        " JOIN messages m INDEXED BY messages_letter ON m.letter_id = l.id"
        f" WHERE l.conversation_id IN ({marks(len(conversations))}) AND m.folder_id = ? AND m.gone_at IS NULL",
        *conversations, folder_id,
    ):  # fmt: skip
        found[conversation] = max(
            found.get(conversation, (received_at, message_id)), (received_at, message_id)
        )
    return found


def neighbours(folder_id: int, message_id: int) -> tuple[int | None, int | None]:
    """The messages before and after it in its folder, by time: the newer one, and the older one."""
    at = rows("SELECT received_at FROM messages WHERE id = ? AND folder_id = ?", message_id, folder_id)
    if not at:
        return None, None
    found = []
    for sort in ("receivedAt:asc", "receivedAt:desc"):
        page = folder_page(folder_id, Wanted(sort, limit=1, cursor=make_cursor(sort, (message_id, at[0][0]))))
        found.append(page.ids[0] if page.ids else None)
    return found[0], found[1]


def page_of(found: list[tuple[Any, ...]], limit: int, order: str) -> Page:
    """From one row more than the page has: (id, sort key)."""
    ids = [int(one[0]) for one in found[:limit]]
    more = len(found) > limit
    return Page(ids, make_cursor(order, found[limit - 1]) if more else None)


def make_cursor(order: str, last: tuple[Any, ...]) -> str:
    """Opaque, so that its content may change."""
    text = json.dumps([order, last[1], last[0]], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, order: str) -> list[Any]:
    """[sort key, id]"""
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        told, key, last_id = json.loads(data)
    except (ValueError, TypeError, binascii.Error, RecursionError):
        told, key, last_id = None, None, None
    kind = str if order.startswith("from") else int
    good = type(key) is kind and type(last_id) is int and 0 < last_id <= MAX_ID
    if told != order or not good or (kind is int and abs(key) > MAX_ID):
        raise _wrong("cursor", "is not one that a page of this order gave", "INVALID_CURSOR")
    if kind is str and not _is_storable(key):
        raise _wrong("cursor", "is not one that a page of this order gave", "INVALID_CURSOR")
    return [key, last_id]


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


def _check(wanted: Wanted) -> None:
    if wanted.cursor and wanted.offset:
        raise _wrong("offset", "does not go with a cursor", "AMBIGUOUS")
    if wanted.conversations and not wanted.sort.startswith("receivedAt"):
        raise _wrong("sort", "conversations are sorted by receivedAt", "INVALID_VALUE")


def _wrong(field: str, message: str, code: str) -> InvalidInputError:
    return InvalidInputError.of([FieldError(field, message, code)])
