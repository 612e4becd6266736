"""What happens to mail, as it happens: read by ids from three tables, so that looking costs next to nothing.

Acceptance is told by an email's row, a delivery by its attempt, all else by a stored event, as in services/timeline.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, NamedTuple

from models.database import marks, row, rows
from services.reading import config_names
from utils.clock import SECOND, iso

TYPES = (
    "accepted", "sent", "deferred", "failed", "unknown", "returned", "suppressed", "bounced", "complained", "delayed",
    "delivered", "replied", "auto_replied", "expired", "cancelled", "requeued", "resolved", "changed", "erased",
    "late_reply", "suppression_added", "stray_report", "copied", "copy_failed",
)  # fmt: skip
BATCH = 2_000  # rows of a table that are read at once
# On PostgreSQL ids are given before they are committed: one that is missing may still come. Later it never will.
PATIENCE = 3 * SECOND

_ACCEPTED = (
    "SELECT id, created_at, id, coalesce(carrier_id, smtp_config_id), 'accepted', '', NULL, NULL FROM emails"
    " WHERE id > ? ORDER BY id LIMIT ?"
)
# An unknown outcome has an event too, which says more: such an attempt is no line.
_ATTEMPTED = (
    "SELECT id, finished_at, email_id, smtp_config_id, "
    " CASE outcome WHEN 'retry' THEN 'deferred' WHEN 'unknown' THEN '' ELSE outcome END,"
    " CASE outcome WHEN 'sent' THEN '' ELSE 'at ' || stage END, code, reply FROM attempts WHERE id > ?"
    " ORDER BY id LIMIT ?"
)
_NOTED = (
    "SELECT id, at, email_id, NULL, type, detail, NULL, NULL FROM events WHERE id > ? ORDER BY id LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Empty or None: any. `config_id`: the config that carried it, or that it is pinned to."""

    types: tuple[str, ...] = ()
    config_id: int | None = None
    tenant: str | None = None
    email_id: int | None = None


class _Row(NamedTuple):
    id: int
    at: int
    email_id: int
    config_id: int | None
    type: str
    detail: str
    code: int | None
    reply: str | None


class _Source:
    """A table that grows. `floor`: all up to it have been told, or never will be there."""

    def __init__(self, sql: str, table: str, column: str, since: int | None) -> None:
        self._sql = sql
        self._seen: dict[int, int] = {}  # above the floor → when it was first seen; 0: long ago
        self._past = _last_id(table)
        self.floor = self._past if since is None else _first_id(table, column, since) - 1

    def read(self) -> tuple[list[_Row], bool]:
        """What was not told yet, and whether there may be more."""
        found = [_Row(*one) for one in rows(self._sql, self.floor, BATCH)]
        return [one for one in found if one.id not in self._seen], len(found) == BATCH

    def told(self, those: Sequence[_Row], now: int) -> None:
        self._seen.update((one.id, now if one.id > self._past else 0) for one in those)
        for one in sorted(self._seen):
            if one != self.floor + 1 and self._seen[one] > now - PATIENCE:
                break
            self.floor = one
            del self._seen[one]


class Tail:
    """From now on, or from `since` (ms)."""

    def __init__(self, wanted: Wanted, since: int | None = None) -> None:
        self._wanted = wanted
        self._sources = (
            _Source(_ACCEPTED, "emails", "created_at", since),
            _Source(_ATTEMPTED, "attempts", "finished_at", since),
            _Source(_NOTED, "events", "at", since),
        )

    def read(self, now: int) -> tuple[list[dict[str, Any]], bool]:
        """Lines in the order of their time, and whether more are there already."""
        read = [source.read() for source in self._sources]
        # Where a table has more to come, the others wait for it, so that the times stay in order. What is left
        # for later is always a table's end: a row left out between others would pass for one that never came.
        behind = min(
            (found for found, more in read if more and found), key=lambda found: found[-1].at, default=None
        )
        taken = [
            found if behind is None or found is behind
            else list(takewhile(lambda one: one.at <= behind[-1].at, found))
            for found, _ in read
        ]  # fmt: skip
        lines = sorted((one for those in taken for one in those), key=lambda one: one.at)
        told = _described(self._wanted, lines)
        for source, those in zip(self._sources, taken, strict=True):  # last: what fails before is read again
            source.told(those, now)
        return told, any(bool(found) and more for found, more in read)


def _described(wanted: Wanted, lines: list[_Row]) -> list[dict[str, Any]]:
    told = [one for one in lines if one.type and _may_be(wanted, one)]
    if not told:
        return []
    emails = _emails(sorted({one.email_id for one in told}))
    names = config_names()
    return [
        line for line in (_line(one, emails.get(one.email_id), names) for one in told)
        if (wanted.tenant is None or line["tenant_id"] == (wanted.tenant or None))
        and wanted.config_id in (None, line["smtp_config_id"])
    ]  # fmt: skip


def _may_be(wanted: Wanted, one: _Row) -> bool:
    return (not wanted.types or one.type in wanted.types) and wanted.email_id in (None, one.email_id)


def _line(one: _Row, email: dict[str, Any] | None, names: dict[int, str]) -> dict[str, Any]:
    email = email or {"tenant": "", "subject": None, "config_id": None, "recipient": None, "recipients": 0}
    config_id = one.config_id or email["config_id"]
    return {
        "at": iso(one.at), "type": one.type, "email_id": one.email_id, "tenant_id": email["tenant"] or None,
        "recipient": email["recipient"], "recipients": email["recipients"], "subject": email["subject"],
        "smtp_config": names.get(config_id or 0), "smtp_config_id": config_id, "code": one.code, "reply": one.reply,
        "detail": one.detail,
    }  # fmt: skip


def _emails(ids: list[int]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        for email_id, tenant, subject, config_id in rows(
            "SELECT id, tenant, subject, coalesce(carrier_id, smtp_config_id) FROM emails"
            f" WHERE id IN ({marks(len(some))})",
            *some,
        ):  # fmt: skip
            found[email_id] = {"tenant": tenant, "subject": subject, "config_id": config_id, "recipients": 0}
            found[email_id]["recipient"] = None
        for email_id, address in rows(
            f"SELECT email_id, address FROM recipients WHERE email_id IN ({marks(len(some))})"
            " ORDER BY email_id, position",
            *some,
        ):
            if email_id in found:
                found[email_id]["recipient"] = found[email_id]["recipient"] or address
                found[email_id]["recipients"] += 1
    return found


def _last_id(table: str) -> int:
    found = row(f"SELECT max(id) FROM {table}")
    return int(found[0] or 0) if found else 0


def _first_id(table: str, column: str, at: int) -> int:
    """The first at that time or later; beyond the last where there is none. Ids follow the times."""
    lowest = row(f"SELECT min(id) FROM {table}")
    low, high = int(lowest[0] or 1) if lowest else 1, _last_id(table) + 1
    while low < high:
        middle = (low + high) // 2
        found = row(f"SELECT id, {column} FROM {table} WHERE id >= ? ORDER BY id LIMIT 1", middle)
        if found is None or found[1] >= at:
            high = middle
        else:
            low = int(found[0]) + 1
    return low
