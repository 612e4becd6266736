"""Scheduled and retried mail joins the queue when its time comes."""

from __future__ import annotations

from models.database import SKIP_LOCKED, row, run, write

# By its own index, whose condition this is: left to itself, SQLite would read all that is scheduled.
_DUE = "emails INDEXED BY emails_due WHERE state IN ('scheduled', 'retry')"


def promote_due(now: int, limit: int = 1_000) -> int:
    """Queue up to `limit` emails whose time has come; how many. As many as the limit: call again.

    Only the state changes: `sort_at` was set with the time, so an email takes its place among those that waited.
    """
    due = next_due(now)
    if due is None or due > now:
        return 0  # no turn in the write path for nothing
    return write(
        lambda: run(
            "UPDATE emails SET state = 'queued', updated_at = ? WHERE id IN"
            f" (SELECT id FROM {_DUE} AND available_at <= ? ORDER BY available_at LIMIT ? {SKIP_LOCKED})",
            now, now, limit,
        )
    )  # fmt: skip


def next_due(now: int) -> int | None:
    """When there is something to promote next (ms): `now`, later, or None."""
    found = row(f"SELECT min(available_at) FROM {_DUE}")
    return None if found is None or found[0] is None else max(now, found[0])
