"""Recording what became of emails, and the fence before each final dot.

One commit per email on the wire, shared with the connections that wait for theirs: it records the outcome of the email
before, and marks this one's dot as sent, provided that the lease is still ours. Whoever finds its lease gone drops the
connection without the dot.
"""

from __future__ import annotations

from typing import NamedTuple

from models.database import FOR_UPDATE, marks, row, rows, run, write, write_together
from models.email import RecipientState
from services import delivered, health, quota
from services.leased import STATE_OF, Dot, Finished, Leased, set_recipients
from services.relay import Policy
from services.settle import settle

__all__ = ["Dot", "Finished", "Leased", "commit", "end_probe", "give_back"]


def commit(policy: Policy, finished: list[Finished], dot: Dot | None, now: int) -> bool:
    """Record outcomes and, with `dot`, mark that email's dot as sent. False: the lease of `dot` is lost."""
    return write_together(_commit_all, _Step(policy, finished, dot, now))


class _Step(NamedTuple):
    """What one connection has to record before its next dot."""

    policy: Policy
    finished: list[Finished]
    dot: Dot | None
    now: int


def _commit_all(steps: list[_Step]) -> list[bool | Exception]:
    """For all connections whose turn it is. The ordinary emails together, the others one by one."""
    sent = delivered.settle([one for step in steps for one in step.finished if delivered.is_ordinary(one)])
    for step in steps:
        for one in step.finished:
            if one.leased.email_id not in sent:
                settle(step.policy, one)
    passed = delivered.fence(
        [(one.dot, one.now) for one in steps if one.dot and one.dot.leased.fresh and not one.dot.refused]
    )
    return [one.dot is None or one.dot.leased.email_id in passed or _stage(one.dot, one.now) for one in steps]


def give_back(leased_ids: list[int], lease: int, now: int) -> None:
    """Return claimed emails, of which no dot went out, to their places in the queue. No attempt is counted."""
    if not leased_ids:
        return

    def job() -> None:
        returned = rows(
            "UPDATE emails SET state = 'queued', lease = NULL, instance_id = NULL, updated_at = ?"
            f" WHERE lease = ? AND dot_at IS NULL AND id IN ({marks(len(leased_ids))})"
            " RETURNING carrier_id, charged_minute, recipient_count",
            now, lease, *leased_ids,
        )  # fmt: skip
        for config_id, minute, recipients in returned:
            quota.charge(config_id, minute, -1, -recipients)
        for config_id in {config_id for config_id, _, _ in returned}:
            health.end_any_probe(config_id)

    write(job)


def end_probe(leased: Leased) -> None:
    """Whatever became of it, another email may try a half-open breaker."""
    write(lambda: health.end_probe(leased.tried))


def _stage(dot: Dot, now: int) -> bool:
    """The fence: mark the dot as sent, provided that the lease is still ours.

    What the server said of the recipients is kept with it: should we die before the answer, only those that it
    accepted are in doubt.
    """
    leased, minute = dot.leased, quota.minute_of(now)
    found = row(
        f"SELECT charged_minute FROM emails WHERE id = ? AND lease = ? AND dot_at IS NULL {FOR_UPDATE}",
        leased.email_id, leased.lease,
    )  # fmt: skip
    if found is None:
        return False
    if not minute - quota.HOUR_BUCKETS // 2 <= found[0] <= minute:
        return False  # so late, or before the clock was set back: the quota reserved does not hold for this minute
    quota.move(leased.config.id, found[0], minute, 1, leased.charged)
    run("UPDATE emails SET dot_at = ?, charged_minute = ? WHERE id = ?", now, minute, leased.email_id)
    if dot.refused or not leased.fresh:
        set_recipients(
            leased.email_id, [(position, RecipientState.PENDING, None) for position, _ in leased.recipients]
        )
        set_recipients(
            leased.email_id, [(place, STATE_OF[verdict], reply) for place, verdict, reply in dot.refused]
        )
    return True
