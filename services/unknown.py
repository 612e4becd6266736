"""Many unknown emails at once, as a restore leaves them: sent again, or settled as what became of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from models.database import marks, row, rows, run, write
from models.email import Event, RecipientState, State
from services.relay import Relay
from services.settle import conclude
from utils.clock import iso

STEP = 500  # emails a commit
Decision = Literal["retry", "sent", "failed"]


def listed(limit: int) -> tuple[int, list[dict[str, Any]]]:
    """How many there are, and the oldest `limit` of them."""
    found = row("SELECT count(*) FROM emails WHERE state = ?", State.UNKNOWN)
    assert found is not None
    emails = [
        {"id": email_id, "created_at": iso(at), "tenant_id": tenant or None, "subject": subject, "reason": reason,
         "can_be_sent": bool(content)}
        for email_id, at, tenant, subject, reason, content in rows(
            "SELECT id, created_at, tenant, subject, error_message, has_content FROM emails WHERE state = ?"
            " ORDER BY id LIMIT ?",
            State.UNKNOWN, limit,
        )
    ]  # fmt: skip
    return int(found[0]), emails


def decide(
    relay: Relay, ids: Sequence[int] | None, decision: Decision, now: int,
    progress: Callable[[int], None] = lambda done: None,
) -> int:  # fmt: skip
    """Settle these unknown emails, or all (None); how many were. Those in another state, or to be sent again without
    content, are left."""
    done, last = 0, 0
    while True:
        step = _next(ids, last, decision)
        if not step:
            break
        done += write(lambda step=step: sum(_decide(one, decision, now) for one in step), durable=True)  # type: ignore[misc]
        last = step[-1]
        progress(done)
    relay.wake()
    return done


def _next(ids: Sequence[int] | None, last: int, decision: Decision) -> list[int]:
    """By index, in the order of the ids."""
    sendable = "AND has_content" if decision == "retry" else ""
    chosen, params = "", list[int]()
    if ids is not None:
        params = [one for one in sorted(set(ids)) if one > last][:STEP]
        chosen = f"AND id IN ({marks(len(params))})"
    found = rows(
        f"SELECT id FROM emails WHERE state = ? AND id > ? {sendable} {chosen} ORDER BY id LIMIT ?",
        State.UNKNOWN, last, *params, STEP,
    )  # fmt: skip
    if not found and len(params) == STEP:
        return _next(ids, params[-1], decision)
    return [int(one) for (one,) in found]


def _decide(email_id: int, decision: Decision, now: int) -> bool:
    """Inside a write job. Sent again, it takes its old place in the queue, and only its unknown recipients get it."""
    email = row(
        "SELECT retry_count, lost_count FROM emails WHERE id = ? AND state = ?", email_id, State.UNKNOWN
    )
    if email is None:
        return False
    again = decision == "retry"
    run(
        "UPDATE recipients SET state = ? WHERE email_id = ? AND state = ?",
        RecipientState.PENDING if again else decision, email_id, RecipientState.UNKNOWN,
    )  # fmt: skip
    Event.create(
        email_id=email_id, at=now, type="requeued" if again else "resolved", detail="" if again else decision
    )
    summary = "sent again by hand" if again else f"settled as {decision} by hand"
    conclude(
        email_id,
        now,
        again=None,
        sort_step=0,
        retry_count=0 if again else email[0],
        lost_count=0,
        summary=summary,
    )
    return True
