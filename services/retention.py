"""What is old goes: contents first, whole rows later, each at its own age. Only mail that is over is touched, and an
`unknown` email is not: a person may still decide about it.

Every step is a write job of its own, bounded in rows and bytes, so that deliveries are never held up for long.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from models.database import SKIP_LOCKED, marks, rows, run, run_many, write
from services import blobs
from services.relay import Policy
from utils.clock import DAY, MINUTE

STEP = 500
STEP_BYTES = 32 * 1024 * 1024  # freeing a large value reads all of its pages
USAGE_KEPT = 1_500  # minutes: the day's window, and a little
SANDBOX_KEPT = 1_000

_OVER = "finished_at IS NOT NULL AND {} AND finished_at < ? AND state IN ('sent', 'failed', 'cancelled')"


def purge_bodies(policy: Policy, now: int) -> int:
    """Erase the contents of emails that ended longer ago than the policy keeps bodies; how many."""
    return _repeat(lambda: _step(now - policy.body_retention, True, drop_contents))


def purge_rows(policy: Policy, now: int) -> int:
    """Delete emails that ended longer ago than the policy keeps them, with all that belongs to them; how many."""
    oldest = now - policy.retention
    return sum(_repeat(lambda full=full: _step(oldest, full, _drop)) for full in (False, True))  # type: ignore[misc]


def prune_usage(now: int) -> int:
    return write(lambda: run("DELETE FROM usage WHERE minute < ?", now // MINUTE - USAGE_KEPT))


def prune_idempotency(now: int, keep: int = DAY) -> int:
    """Forget answers older than `keep` ms."""
    return _repeat(
        lambda: run(
            "DELETE FROM idempotency WHERE (tenant, endpoint, key) IN (SELECT tenant, endpoint, key FROM idempotency"
            " WHERE created_at < ? ORDER BY created_at LIMIT ?)",
            now - keep, STEP,
        )
    )  # fmt: skip


def prune_sandbox(keep: int = SANDBOX_KEPT) -> int:
    """Delete caught mail but for the newest."""
    newest = rows("SELECT id FROM sandbox_messages ORDER BY id DESC LIMIT 1 OFFSET ?", keep)
    if not newest:
        return 0

    def step() -> int:
        old = rows(
            "SELECT id, size FROM sandbox_messages WHERE id <= ? ORDER BY id LIMIT ?", newest[0][0], STEP
        )
        ids = _bounded(old)
        return run(f"DELETE FROM sandbox_messages WHERE id IN ({marks(len(ids))})", *ids)

    return _repeat(step)


def drop_contents(ids: list[int]) -> None:
    """Erase what emails say, and attachments that no other email has. Inside a write job."""
    these = f"({marks(len(ids))})"
    held = [
        blob for (blob,) in rows(f"SELECT DISTINCT blob_id FROM attachments WHERE email_id IN {these}", *ids)
    ]
    blobs.lock(held)
    run(f"DELETE FROM attachments WHERE email_id IN {these}", *ids)
    run(f"DELETE FROM contents WHERE email_id IN {these}", *ids)
    run(f"UPDATE emails SET has_content = FALSE WHERE id IN {these}", *ids)
    blobs.drop_unused(held)


def _drop(ids: list[int]) -> None:
    drop_contents(ids)
    these = f"({marks(len(ids))})"
    tags = rows(f"SELECT tenant, id, tags FROM emails WHERE id IN {these} AND tags IS NOT NULL", *ids)
    run_many(  # by their whole key, for there is no index by email
        "DELETE FROM tags WHERE tenant = ? AND tag = ? AND email_id = ?",
        [(tenant, tag, email_id) for tenant, email_id, text in tags for tag in json.loads(text)],
    )
    for table in ("recipients", "attempts", "events", "sent_copies"):
        run(f"DELETE FROM {table} WHERE email_id IN {these}", *ids)
    run(f"DELETE FROM emails WHERE id IN {these}", *ids)


def _step(before: int, has_content: bool, drop: Callable[[list[int]], None]) -> int:
    full = "has_content" if has_content else "NOT has_content"
    old = rows(
        f"SELECT id, size FROM emails WHERE {_OVER.format(full)} ORDER BY finished_at LIMIT ? {SKIP_LOCKED}",
        before,
        STEP,
    )
    ids = _bounded(old)
    if ids:
        drop(ids)
    return len(ids)


def _bounded(old: list[tuple[int, int]]) -> list[int]:
    """As many from the start as make up one step; at least one."""
    ids: list[int] = []
    total = 0
    for one, size in old:
        total += size
        if ids and total > STEP_BYTES:
            break
        ids.append(one)
    return ids


def _repeat(step: Callable[[], int]) -> int:
    done = 0
    while count := write(step):
        done += count
    return done
