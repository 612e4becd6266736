"""Finding emails: newest first, a page at a time.

The cursor is the last id of the page before: new mail, which comes in at the top, shifts nothing.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Any

from models.database import marks, row, rows
from models.email import State
from services.errors import FieldError, InvalidInputError
from services.reading import MAX_ID
from utils.clock import HOUR, iso, iso_or_none, monotonic

STATES = tuple(State)
# Ids follow created_at, but for clocks that were set back: allow for that much.
CLOCK_SLACK = HOUR
STEP = 5_000  # emails that a search for a part of a text reads at a time
PATIENCE = 0.1  # seconds that it reads for one page


@dataclass(frozen=True, slots=True)
class Filters:
    """All that are set must hold. Times in ms, on created_at; `q` is looked for in subject and recipients."""

    status: str | None = None
    tag: str | None = None
    q: str | None = None
    recipient: str | None = None  # the whole address, in any case
    since: int | None = None
    until: int | None = None
    smtp_config_id: int | None = None  # pinned to it
    ids: list[int] | None = None
    template_id: int | None = None  # made of it


@dataclass(frozen=True, slots=True)
class Page:
    items: list[dict[str, Any]]
    next_cursor: str | None  # None: this is the last page
    looked_back_to: str | None = (
        None  # ISO; where a search for `q` has stopped for now: the next page goes on
    )


def search(tenant: str | None, filters: Filters, limit: int, cursor: str | None) -> Page:
    """One page. InvalidInputError for a status or cursor that is none."""
    if filters.status is not None:
        _check_status(filters.status)
    last_id = _id_of(cursor) if cursor else MAX_ID
    if filters.q is not None:
        return _looked_through(tenant, filters, limit, last_id)
    ids = _ids(*query(tenant, filters, last_id), limit + 1)
    return _page(ids, limit)


def _page(ids: list[int], limit: int) -> Page:
    more = len(ids) > limit
    ids = ids[:limit]
    return Page(_items(ids), _cursor_of(ids[-1]) if more else None)


def _looked_through(tenant: str | None, filters: Filters, limit: int, last_id: int) -> Page:
    """No index helps to find a part of a text, so emails are read, newest first, for as long as somebody waits; then
    the page ends where that was, with fewer items than asked for, or none."""
    ids: list[int] = []
    end = monotonic() + PATIENCE
    while True:
        first_id = _step(tenant, filters, last_id)
        ids += _ids(*query(tenant, filters, last_id, first_id or 1), limit + 1 - len(ids))
        if len(ids) > limit or first_id is None:
            return _page(ids, limit)
        if monotonic() >= end:
            at = row("SELECT created_at FROM emails WHERE id = ?", first_id)
            return Page(_items(ids), _cursor_of(first_id), iso_or_none(at[0]) if at else None)
        last_id = first_id - 1


def _step(tenant: str | None, filters: Filters, last_id: int) -> int | None:
    """The lowest id of the next STEP emails that hold but for `q`; None when there are no more than these."""
    sql, params = query(tenant, replace(filters, q=None), last_id)
    found = rows(f"{sql} LIMIT 1 OFFSET ?", *params, STEP - 1)
    return int(found[0][0]) if found else None


def _ids(sql: str, params: list[Any], limit: int) -> list[int]:
    return [int(one) for (one,) in rows(f"{sql} LIMIT ?", *params, limit)]


def by_status(tenant: str | None, status: str, limit: int, offset: int) -> list[dict[str, Any]]:
    """Emails in one state, newest first. InvalidInputError when there is no such state."""
    _check_status(status)
    sql, params = query(tenant, Filters(status=status), MAX_ID)
    ids = [int(one) for (one,) in rows(f"{sql} LIMIT ? OFFSET ?", *params, limit, offset)]
    names = (
        "id",
        "subject",
        "status",
        "priority",
        "retry_count",
        "created_at",
        "updated_at",
        "error_message",
    )
    return [{name: item[name] for name in names} for item in _items(ids)]


def oldest(tenant: str | None, status: str) -> int | None:
    """Of the emails in a state, the one that was accepted first."""
    mine, params = ("", []) if tenant is None else ("AND tenant = ?", [tenant])
    found = row(f"SELECT min(id) FROM emails WHERE state = ? {mine}", status, *params)
    return int(found[0]) if found and found[0] is not None else None


def first_id_at(at: int) -> int:
    """The first id accepted at `at` (ms) or later; beyond the last when there is none. Ids follow created_at."""
    low, high = _end("ASC"), _end("DESC") + 1
    while low < high:
        middle = (low + high) // 2
        found = row("SELECT id, created_at FROM emails WHERE id >= ? ORDER BY id LIMIT 1", middle)
        if found is None or found[1] >= at:
            high = middle
        else:
            low = found[0] + 1
    return low


def query(tenant: str | None, filters: Filters, last_id: int, first_id: int = 1) -> tuple[str, list[Any]]:
    """SQL that gives the ids from `last_id` down to `first_id`, newest first, and its parameters.

    The table that tells most is read first (CROSS JOIN keeps SQLite from turning that round), in the order of the
    answer, so that a page costs the same however many there are.
    """
    source, key = "emails e", "e.id"
    terms = _on_email(tenant, filters)
    if filters.tag is not None:
        source, key = "tags t CROSS JOIN emails e", "t.email_id"
        terms += [("e.id = t.email_id", []), _tagged(tenant, filters.tag)]
    if filters.recipient is not None:
        term = "lower(r.address) = lower(?)"
        if filters.tag is None:
            source, key = "recipients r CROSS JOIN emails e", "r.email_id"
            terms.append(("e.id = r.email_id", []))
        else:
            term = f"EXISTS (SELECT 1 FROM recipients r WHERE r.email_id = e.id AND {term})"
        terms.append((term, [filters.recipient]))
    terms.append((f"{key} <= ?", [last_id]))
    if first_id > 1:
        terms.append((f"{key} >= ?", [first_id]))
    where = " AND ".join(term for term, _ in terms)
    sql = f"SELECT DISTINCT {key} FROM {source} WHERE {where} ORDER BY {key} DESC"
    return sql, [value for _, values in terms for value in values]


Terms = list[tuple[str, list[Any]]]


def _on_email(tenant: str | None, filters: Filters) -> Terms:
    terms: Terms = []
    if tenant is not None:
        # What is no bare column keeps an index out of the choice: most mail is sent, little is in any other state.
        rare = filters.status not in (None, State.SENT)
        terms.append(("e.tenant || '' = ?" if rare else "e.tenant = ?", [tenant]))
    if filters.status is not None:
        common = tenant is not None and filters.status == State.SENT
        terms.append(("e.state || '' = ?" if common else "e.state = ?", [filters.status]))
    if filters.smtp_config_id is not None:
        terms.append(("e.smtp_config_id = ?", [filters.smtp_config_id]))
    if filters.template_id is not None:
        terms.append(("e.template_id = ?", [filters.template_id]))
    if filters.ids is not None:
        terms.append((f"e.id IN ({marks(len(filters.ids))})", list(filters.ids)))
    if filters.since is not None:
        terms.append(
            ("e.id >= ? AND e.created_at >= ?", [first_id_at(filters.since - CLOCK_SLACK), filters.since])
        )
    if filters.until is not None:
        terms.append(
            ("e.id < ? AND e.created_at < ?", [first_id_at(filters.until + CLOCK_SLACK), filters.until])
        )
    if filters.q is not None:
        terms.append(_containing(filters.q))
    return terms


def _tagged(tenant: str | None, tag: str) -> tuple[str, list[Any]]:
    if tenant is not None:
        return "t.tenant = ? AND t.tag = ?", [tenant, tag]
    # Each tenant is a seek in the tags' key, where DISTINCT would read them all.
    tenants = (
        "WITH RECURSIVE one (name) AS (SELECT min(tenant) FROM tags UNION ALL"
        " SELECT (SELECT min(tenant) FROM tags WHERE tenant > name) FROM one WHERE name IS NOT NULL)"
        " SELECT name FROM one WHERE name IS NOT NULL"
    )
    return f"t.tenant IN ({tenants}) AND t.tag = ?", [tag]


def _containing(text: str) -> tuple[str, list[Any]]:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    like = "LIKE lower(?) ESCAPE '\\'"
    person = f"SELECT 1 FROM recipients p WHERE p.email_id = e.id AND (lower(p.address) {like} OR lower(p.name) {like})"
    return f"(lower(e.subject) {like} OR EXISTS ({person}))", [f"%{escaped}%"] * 3


def _items(ids: list[int]) -> list[dict[str, Any]]:
    """What a list shows of emails, in the order of `ids`."""
    found = rows(
        "SELECT id, subject, state, priority, retry_count, smtp_config_id, tenant, created_at, updated_at, sent_at,"
        f" error_message FROM emails WHERE id IN ({marks(len(ids))}) ORDER BY id DESC",
        *ids,
    )
    people: dict[int, list[str]] = {}
    for email_id, address in rows(
        f"SELECT email_id, address FROM recipients WHERE kind = 'to' AND email_id IN ({marks(len(ids))})"
        " ORDER BY email_id, position",
        *ids,
    ):
        people.setdefault(email_id, []).append(address)
    return [
        {
            "id": one[0], "subject": one[1], "recipients": people.get(one[0], []), "status": one[2],
            "priority": one[3], "retry_count": one[4], "smtp_config_id": one[5], "tenant_id": one[6] or None,
            "created_at": iso(one[7]), "updated_at": iso(one[8]), "sent_at": iso_or_none(one[9]),
            "error_message": one[10],
        }
        for one in found
    ]  # fmt: skip


def _check_status(status: str) -> None:
    if status not in tuple(State):
        known = ", ".join(State)
        raise InvalidInputError.of([FieldError("status", f"must be one of {known}", "UNKNOWN_STATUS")])


def _end(direction: str) -> int:
    found = row(f"SELECT id FROM emails ORDER BY id {direction} LIMIT 1")
    return int(found[0]) if found else 0


def _cursor_of(last_id: int) -> str:
    """Continues below `last_id`. Opaque, so that its content may change."""
    return base64.urlsafe_b64encode(f"id:{last_id}".encode()).decode().rstrip("=")


def _id_of(cursor: str) -> int:
    try:
        kind, _, number = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).partition(
            b":"
        )
        last_id = int(number)
    except (ValueError, binascii.Error):
        kind, last_id = b"", 0
    if kind != b"id" or not 0 < last_id <= MAX_ID:
        raise InvalidInputError.of([FieldError("cursor", "is not one that a page gave", "INVALID_CURSOR")])
    return last_id - 1
