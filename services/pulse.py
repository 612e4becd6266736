"""Whether anything has happened, told cheaply enough to be asked once a second: marks that move when something does."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from models.database import database, row
from utils.clock import SECOND

_MARKS = {
    "emails": "SELECT (SELECT max(id) FROM emails), (SELECT max(id) FROM attempts), (SELECT max(id) FROM events),"
    " (SELECT sum(value) FROM totals WHERE name IN ('emails_counted', 'attempts_counted'))",
    "sandbox": "SELECT max(id), count(*) FROM sandbox_messages",
    "inbox": "SELECT (SELECT max(id) FROM messages), (SELECT max(updated_at) FROM accounts),"
    " (SELECT max(last_sync_at) FROM accounts), (SELECT sum(failures) FROM accounts),"
    " (SELECT max(id) FROM suppressions), (SELECT sum(message_count) FROM folders),"
    " (SELECT sum(unread_count) FROM folders), (SELECT count(*) FROM sync_tasks WHERE finished_at IS NULL),"
    " (SELECT sum(progress) FROM sync_tasks WHERE finished_at IS NULL),"
    " (SELECT max(started_at) FROM sync_tasks WHERE finished_at IS NULL)",
    "configs": "SELECT (SELECT max(updated_at) FROM smtp_configs), (SELECT count(*) FROM smtp_configs),"
    " (SELECT changed_at FROM switches WHERE name = 'paused'), (SELECT max(id) FROM audit_entries)",
}
_FRESH = SECOND  # all who watch in one process share an answer of that age
_kept: WeakKeyDictionary[Any, tuple[int, dict[str, str]]] = WeakKeyDictionary()


def pulse(now: int) -> dict[str, str]:
    """Topic → its mark. What is the same as before has not changed."""
    kept = _kept.get(database.obj)
    if kept is not None and abs(now - kept[0]) < _FRESH:
        return kept[1]
    marks = {topic: "-".join(str(part or 0) for part in row(sql) or ()) for topic, sql in _MARKS.items()}
    _kept[database.obj] = (now, marks)
    return marks
