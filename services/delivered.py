"""The ordinary course of an email, for many at once: its dot may go out; everyone got it, at the first try.

It is what settle.py and the fence in record.py would do, in a statement a table for all connections whose turn it is.
Whatever is in any way out of the ordinary is left to them.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.database import run_values
from services import health, quota
from services.leased import Dot, Finished
from services.outcome import Blame, Verdict
from services.smtp import Reply


def is_ordinary(done: Finished) -> bool:
    """What can be told without the database."""
    leased, outcome = done.leased, done.outcome
    return (
        done.dot_at is not None
        and outcome.blame is Blame.NOBODY
        and not leased.probe
        and leased.fresh
        and quota.minute_of(done.dot_at) == quota.minute_of(done.finished_at)
        and all(verdict is Verdict.SENT for verdict, _ in outcome.results)
    )


def settle(finished: Sequence[Finished]) -> set[int]:
    """Record emails that were sent; the ids of those that were as ordinary as they looked. Inside a write job."""
    sent = {
        email_id
        for (email_id,) in run_values(
            "UPDATE emails SET state = 'sent', updated_at = v.column5, sent_at = v.column5, finished_at = v.column5,"
            " lost_count = 0, recipient_count = 0, lease = NULL, instance_id = NULL, dot_at = NULL,"
            " charged_minute = NULL, error_message = NULL FROM (VALUES {}) AS v"
            " WHERE emails.id = v.column1 AND lease = v.column2 AND recipient_count = v.column3"
            " AND charged_minute = v.column4 RETURNING emails.id",
            [
                (one.leased.email_id, one.leased.lease, len(one.leased.recipients), quota.minute_of(one.finished_at),
                 one.finished_at)
                for one in finished
            ],
        )
    }  # fmt: skip
    done = [one for one in finished if one.leased.email_id in sent]
    run_values(
        "UPDATE recipients SET state = 'sent', code = v.column3, reply = v.column4 FROM (VALUES {}) AS v"
        " WHERE email_id = v.column1 AND position = v.column2",
        [
            (one.leased.email_id, position, *_told(reply))
            for one in done
            for (position, _), (_, reply) in zip(one.leased.recipients, one.outcome.results, strict=True)
        ],
    )
    run_values(
        "INSERT INTO attempts (email_id, smtp_config_id, instance_id, claimed_at, dot_at, finished_at, stage, outcome,"
        " blame, code, reply) VALUES {}",
        [_attempt(one) for one in done],
    )
    for config_id in sorted({one.leased.config.id for one in done}):
        mine = [one for one in done if one.leased.config.id == config_id]
        health.succeeded(_newest(mine).leased.tried, max(one.finished_at for one in mine), len(mine))
    return sent


def fence(dots: Sequence[tuple[Dot, int]]) -> set[int]:
    """Mark dots of fresh emails, each with its time, as sent where the lease is still ours; the ids of those. Inside a
    write job."""
    return {
        email_id
        for (email_id,) in run_values(
            "UPDATE emails SET dot_at = v.column3 FROM (VALUES {}) AS v WHERE emails.id = v.column1"
            " AND lease = v.column2 AND dot_at IS NULL AND charged_minute = v.column4 RETURNING emails.id",
            [(dot.leased.email_id, dot.leased.lease, at, quota.minute_of(at)) for dot, at in dots],
        )
    }


def _attempt(done: Finished) -> tuple[object, ...]:
    leased = done.leased
    code, text = _told(done.outcome.results[0][1])
    return (
        leased.email_id, leased.config.id, leased.instance_id, leased.claimed_at, done.dot_at, done.finished_at,
        done.stage, "sent", Blame.NOBODY, code, text,
    )  # fmt: skip


def _told(reply: Reply | None) -> tuple[int | None, str | None]:
    return (reply.code, reply.text) if reply else (None, None)


def _newest(finished: list[Finished]) -> Finished:
    """The one whose connection was opened last: it tells most about whether new ones are welcome."""
    return max(finished, key=lambda one: one.leased.opened_at or 0)
