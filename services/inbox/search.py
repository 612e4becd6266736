"""Finding messages of an account by words in subject, people and body; or all of one conversation."""

from __future__ import annotations

from models import words
from models.database import marks, rows
from services.inbox.listing import Page, page_of, read_cursor
from services.inbox.questions import Term
from services.inbox.snippets import marked, snippet
from services.inbox.view import Item

LOOKED_AT, LEAST_LOOKED_AT = 4_000_000, 10_000  # characters of all texts of a page, and of each: for snippets
NEWEST = "receivedAt:desc"
OLDEST = "receivedAt:asc"
_ONCE = " AND m.view_of IS NULL"  # however many labels show it


def found(
    account_id: str, terms: list[Term], limit: int, cursor: str | None = None, folder_id: int | None = None
) -> Page:
    """Newest first. All that match are looked at, which costs a microsecond each, so that the order is by time."""
    if not terms:
        return Page([], None)
    source, condition, params = words.matching(
        account_id, [(one.words, one.begins, one.without) for one in terms]
    )
    more: list[object] = []
    if folder_id is None:
        condition += _ONCE
    else:
        condition += " AND m.folder_id = ?"
        more.append(folder_id)
    if cursor:
        condition += " AND (m.received_at, m.id) < (?, ?)"
        more += read_cursor(cursor, NEWEST)
    hits = rows(
        f"SELECT m.id, m.received_at FROM {source} WHERE {condition} AND m.gone_at IS NULL"
        " ORDER BY m.received_at DESC, m.id DESC LIMIT ?",
        *params, *more, limit + 1,
    )  # fmt: skip
    return page_of(hits, limit, NEWEST)


def of_conversation(account_id: str, conversation_id: int, limit: int, cursor: str | None = None) -> Page:
    """Oldest first, from all folders."""
    condition, more = "", list[object]()
    if cursor:
        condition = " AND (m.received_at, m.id) > (?, ?)"
        more += read_cursor(cursor, OLDEST)
    hits = rows(
        "SELECT m.id, m.received_at FROM letters l INDEXED BY letters_conversation"
        " JOIN messages m ON m.letter_id = l.id WHERE l.conversation_id = ? AND l.account_id = ?"
        f" AND m.gone_at IS NULL{_ONCE}{condition} ORDER BY m.received_at, m.id LIMIT ?",
        conversation_id, account_id, *more, limit + 1,
    )  # fmt: skip
    return page_of(hits, limit, OLDEST)


def with_snippets(items: list[Item], terms: list[Term]) -> list[Item]:
    """What of each message answers the question: of its body, else of its people."""
    ids = [int(one["id"]) for one in items]
    characters = max(LOOKED_AT // max(len(ids), 1), LEAST_LOOKED_AT)
    texts = {
        message_id: (people, text or "")
        for message_id, people, text in rows(
            f"SELECT m.id, l.people, substr(l.text, 1, {characters}) FROM messages m JOIN letters l"
            f" ON l.id = m.letter_id WHERE m.id IN ({marks(len(ids))})",
            *ids,
        )
    }
    for one in items:
        people, text = texts.get(int(one["id"]), ("", ""))
        one["snippet"] = snippet([text, people, text], terms)
        one["subjectSnippet"] = marked(one["subject"], terms)
    return items
