"""Mail that was not sent by its `expires_at` fails: whoever asked for that does not want it late."""

from __future__ import annotations

from models.database import SKIP_LOCKED, rows, run, write
from models.email import Event, RecipientState
from services.settle import conclude
from utils.clock import iso

STEP = 500  # emails a write job

# By its own index, whose condition this is: left to itself, SQLite would read all that waits.
_EXPIRED = (
    "emails INDEXED BY emails_expiring WHERE expires_at IS NOT NULL AND state IN ('scheduled', 'queued', 'retry')"
    " AND expires_at <= ?"
)


def expire_due(now: int, limit: int = 10_000) -> int:
    """Fail up to `limit` waiting emails that are past their time; how many."""
    done = 0
    while done < limit:
        step = min(STEP, limit - done)
        found = rows(f"SELECT 1 FROM {_EXPIRED} LIMIT 1", now)
        count = write(lambda step=step: _expire(now, step)) if found else 0  # type: ignore[misc]
        done += count
        if count < step:
            break
    return done


def _expire(now: int, limit: int) -> int:
    found = rows(
        f"SELECT id, expires_at, retry_count, lost_count FROM {_EXPIRED} ORDER BY expires_at LIMIT ? {SKIP_LOCKED}",
        now, limit,
    )  # fmt: skip
    for email_id, expires_at, retry_count, lost_count in found:
        run(
            "UPDATE recipients SET state = ? WHERE email_id = ? AND state IN ('pending', 'retry')",
            RecipientState.FAILED, email_id,
        )  # fmt: skip
        Event.create(email_id=email_id, at=now, type="expired")
        # The state follows from the recipients': one that had some of them accepted before is `sent`.
        conclude(
            email_id, now, again=None, sort_step=0, retry_count=retry_count, lost_count=lost_count,
            summary=f"expired at {iso(expires_at)}, before it could be sent",
        )  # fmt: skip
    return len(found)
