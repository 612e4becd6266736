"""Settling an email after a transaction: its recipients, its attempt, its quota, its next try, its state."""

from __future__ import annotations

import json
import random

from models.database import FOR_UPDATE, marks, row, rows, run
from models.email import ACCEPTED, Event, RecipientState, State
from services import health, quota
from services.leased import STATE_OF, Finished, Leased, set_recipients
from services.oauth import tokens
from services.outcome import Blame, Outcome, Verdict
from services.relay import Policy
from services.retry import GiveUp, RetryAt, next_attempt
from services.smtp import Reply
from utils.clock import HOUR, MINUTE

# Lets other mail pass an email that lost its connection, to learn which of the two is ill.
LOST_DELAY = MINUTE
LOSSES_TO_BLAME = 2
AFTER_MAIL = ("mail", "rcpt", "data", "body")


def goes_on(outcome: Outcome) -> bool:
    """Some recipients go in a further transaction at once (452 4.5.3), under the same lease."""
    return any(verdict is Verdict.AGAIN for verdict, _ in outcome.results)


def settle(policy: Policy, done: Finished) -> None:
    leased, outcome, now = done.leased, done.outcome, done.finished_at
    email = row(
        "SELECT retry_count, lost_count, due_at, expires_at, max_retries, on_unknown, charged_minute"
        f" FROM emails WHERE id = ? AND lease = ? {FOR_UPDATE}",
        leased.email_id, leased.lease,
    )  # fmt: skip
    token_ended = outcome.auth_refused and _token_ended(done)
    lost = outcome.config_failure and done.stage in AFTER_MAIL and not token_ended
    blamed = lost and email is not None and email[1] + 1 >= LOSSES_TO_BLAME and _others_passed(leased)
    _learn(done, blamed, token_ended)
    if email is None:
        _settle_late(done)
        return
    retry_count, lost_count, due_at, expires_at, max_retries, on_unknown, charged_minute = email
    _record_attempt(done)
    unknown = any(verdict is Verdict.UNKNOWN for verdict, _ in outcome.results)
    if unknown:
        Event.create(email_id=leased.email_id, at=now, type="unknown", detail=outcome.summary)
    _settle_quota(done, charged_minute)
    if goes_on(outcome) and _continue(done):
        return
    resend = unknown and on_unknown == "resend"
    burns = outcome.burns_retry or blamed or resend or _left_over(done)
    again: RetryAt | GiveUp | None = RetryAt(now + LOST_DELAY) if lost else None
    if burns:
        limit = policy.max_retries if max_retries is None else max_retries
        again = when_again(policy, retry_count, limit, due_at, expires_at, outcome.retry_after, now)
    _record_recipients(done, resend=resend and isinstance(again, RetryAt))
    conclude(
        leased.email_id, now,
        again=again, sort_step=policy.priority_step, retry_count=retry_count + burns,
        lost_count=lost_count + 1 if lost else 0, summary=outcome.summary,
    )  # fmt: skip


def when_again(
    policy: Policy, retry_count: int, max_retries: int, due_at: int, expires_at: int | None,
    retry_after: int | None, now: int,
) -> RetryAt | GiveUp:  # fmt: skip
    return next_attempt(
        retry_count, now,
        max_retries=max_retries, max_age_hours=policy.max_age // HOUR, created_at=due_at, expires_at=expires_at,
        retry_after=retry_after, rng=random.Random(),
    )  # fmt: skip


def _settle_quota(done: Finished, charged_minute: int) -> None:
    """Nothing sent, nothing used. What was sent counts at the minute of the answer, when the server counted it."""
    leased = done.leased
    if done.dot_at is None:
        quota.charge(leased.config.id, charged_minute, -1, -leased.charged)
    else:
        minute = max(
            charged_minute, quota.minute_of(done.finished_at)
        )  # where the clock was set back: the dot's
        quota.move(leased.config.id, charged_minute, minute, 1, leased.charged)


def _continue(done: Finished) -> bool:
    """Reserve a further transaction for the recipients that did not fit; False when the quota has no room for it."""
    leased, now = done.leased, done.finished_at
    rest = sum(verdict is Verdict.AGAIN for verdict, _ in done.outcome.results)
    minute = quota.minute_of(now)
    quota.lock_config(leased.config.id)
    if done.dot_at is not None:  # they were charged for with the others, and did not go
        quota.charge(leased.config.id, minute, 0, -rest)
    room = quota.room(leased.config, now)
    if room is not None and room < (rest if leased.config.limit_unit == "recipients" else 1):
        return False
    quota.charge(leased.config.id, minute, 1, rest)
    _record_recipients(done, resend=False)
    run(
        "UPDATE emails SET dot_at = NULL, charged_minute = ?, recipient_count = ? WHERE id = ?",
        minute, rest, leased.email_id,
    )  # fmt: skip
    return True


def _left_over(done: Finished) -> bool:
    """Recipients put off in this transaction or one before it, through no fault of the config."""
    if done.outcome.blame is Blame.CONFIG or goes_on(done.outcome):
        return False
    if any(verdict is Verdict.RETRY for verdict, _ in done.outcome.results):
        return True
    positions = [position for position, _ in done.leased.recipients]
    left = row(
        "SELECT 1 FROM recipients WHERE email_id = ? AND state IN ('retry', 'pending')"
        f" AND position NOT IN ({marks(len(positions))}) LIMIT 1",
        done.leased.email_id, *positions,
    )  # fmt: skip
    return left is not None


def conclude(
    email_id: int, now: int, *, again: RetryAt | GiveUp | None, sort_step: int, retry_count: int, lost_count: int,
    summary: str,
) -> None:  # fmt: skip
    """Set an email's state from its recipients', and end its lease. Inside a write job.

    `again`: when those still to be tried go; None: at once, in the email's old place in the queue.
    """
    if isinstance(again, GiveUp):
        run(
            "UPDATE recipients SET state = 'failed' WHERE email_id = ? AND state IN ('pending', 'retry')",
            email_id,
        )
        summary = f"{summary}; {again.reason}"
    left = dict(rows("SELECT state, count(*) FROM recipients WHERE email_id = ? GROUP BY state", email_id))
    left.pop(RecipientState.SUPPRESSED, None)  # nobody tried
    to_try = left.get(RecipientState.PENDING, 0) + left.get(RecipientState.RETRY, 0)
    state = _state_of(left, to_try, again)
    at = again.at if isinstance(again, RetryAt) and to_try else None
    run(
        "UPDATE emails SET state = ?, updated_at = ?, retry_count = ?, lost_count = ?, recipient_count = ?,"
        " lease = NULL, instance_id = NULL, dot_at = NULL, charged_minute = NULL, error_message = ?,"
        " available_at = coalesce(?, available_at), sort_at = CASE WHEN ? IS NULL THEN sort_at"
        " ELSE ? + (priority - 1) * ? END,"
        " sent_at = CASE WHEN ? THEN ? ELSE sent_at END, finished_at = CASE WHEN ? THEN ? ELSE NULL END WHERE id = ?",
        state, now, retry_count, lost_count, to_try, None if state == State.SENT and len(left) == 1 else summary,
        at, at, at, sort_step,
        state == State.SENT, now, state in (State.SENT, State.FAILED), now, email_id,
    )  # fmt: skip


def _state_of(left: dict[str, int], to_try: int, again: RetryAt | GiveUp | None) -> State:
    if to_try:
        return State.RETRY if isinstance(again, RetryAt) else State.QUEUED
    if left.get(RecipientState.UNKNOWN):
        return State.UNKNOWN
    return State.SENT if any(left.get(one) for one in ACCEPTED) else State.FAILED


def _record_recipients(done: Finished, *, resend: bool) -> None:
    """`resend`: recipients whose fate is unknown are tried again; else they stay unknown."""
    results = zip(done.leased.recipients, done.outcome.results, strict=True)
    set_recipients(
        done.leased.email_id,
        [
            (
                position,
                RecipientState.RETRY if verdict is Verdict.UNKNOWN and resend else STATE_OF[verdict],
                reply,
            )
            for (position, _), (verdict, reply) in results
        ],
    )


def _record_attempt(done: Finished) -> None:
    leased, outcome = done.leased, done.outcome
    told = _telling_reply(outcome)
    uniform = len({(verdict, reply.code if reply else None) for verdict, reply in outcome.results}) == 1
    replies = None if uniform else json.dumps([
        [address, verdict, reply.text if reply else None]
        for (_, address), (verdict, reply) in zip(leased.recipients, outcome.results, strict=True)
    ])  # fmt: skip
    run(
        "INSERT INTO attempts (email_id, smtp_config_id, instance_id, claimed_at, dot_at, finished_at, stage, outcome,"
        " blame, code, reply, replies) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        leased.email_id, leased.config.id, leased.instance_id, leased.claimed_at, done.dot_at, done.finished_at,
        done.stage, overall(outcome), outcome.blame, told.code if told else None,
        told.text if told else outcome.summary, replies,
    )  # fmt: skip


def overall(outcome: Outcome) -> str:
    """One word for an attempt: what matters most to whoever asks."""
    verdicts = {verdict for verdict, _ in outcome.results}
    for verdict, word in (
        (Verdict.UNKNOWN, "unknown"), (Verdict.RETRY, "retry"), (Verdict.AGAIN, "retry"), (Verdict.SENT, "sent"),
    ):  # fmt: skip
        if verdict in verdicts:
            return word
    return "failed"


def _telling_reply(outcome: Outcome) -> Reply | None:
    """The reply to show for the whole attempt: a refusal before a success."""
    replies = [reply for _, reply in outcome.results if reply is not None]
    return max(replies, key=lambda reply: reply.code, default=None)


def _learn(done: Finished, blamed: bool, token_ended: bool) -> None:
    """What the outcome tells about the config. `blamed`: the email itself is the one that breaks connections.
    `token_ended`: see `_token_ended`."""
    tried, outcome, now = done.leased.tried, done.outcome, done.finished_at
    if outcome.pause is not None and outcome.pause.crowded and health.crowded(tried, outcome.summary, now):
        return
    if outcome.pause is not None:
        health.pause(tried.config_id, outcome.pause.seconds, outcome.pause.reason, now)
    if done.stage == "build" or blamed:
        health.end_probe(tried)
    elif outcome.auth_refused and not token_ended:
        health.login_refused(tried, outcome.summary, now)
    elif outcome.config_failure:
        health.failed(tried, outcome.summary, now, opening=done.stage not in (*AFTER_MAIL, "dot"))
    elif outcome.pause is None:
        # Whatever the answer said about the email, the config itself was there and spoke.
        health.succeeded(tried, now)


def _token_ended(done: Finished) -> bool:
    """A session that has lasted was refused all of a sudden, for it began with a token that has come to its end: no
    wrong login, but a connection that is over. The next one brings a new token."""
    config, opened_at = done.leased.config, done.leased.opened_at
    lasted = opened_at is None or done.finished_at - opened_at > tokens.MARGIN
    if not (config.by_token and lasted and done.stage in AFTER_MAIL):
        return False
    tokens.distrust(str(config.account_id), done.finished_at)
    return True


def _others_passed(leased: Leased) -> bool:
    """Whether the config sent other mail since this email lost its connection the time before."""
    found = row(
        "SELECT 1 FROM health WHERE smtp_config_id = ? AND last_sent >"
        " (SELECT max(finished_at) FROM attempts WHERE email_id = ?)",
        leased.config.id, leased.email_id,
    )  # fmt: skip
    return found is not None


def _settle_late(done: Finished) -> None:
    """The lease was taken back meanwhile, yet here is an answer: keep it, and settle the email where that is still
    possible, which saves a second delivery."""
    email_id = done.leased.email_id
    Event.create(email_id=email_id, at=done.finished_at, type="late_reply", detail=done.outcome.summary)
    waits = row(
        "SELECT retry_count, lost_count FROM emails WHERE id = ? AND lease IS NULL"
        f" AND state IN ('unknown', 'queued', 'retry') {FOR_UPDATE}",
        email_id,
    )
    if waits is None or done.dot_at is None:
        return
    for (position, _), (verdict, reply) in zip(done.leased.recipients, done.outcome.results, strict=True):
        if verdict in (Verdict.SENT, Verdict.FAILED):
            run(
                "UPDATE recipients SET state = ?, code = ?, reply = ?"
                " WHERE email_id = ? AND position = ? AND state IN ('unknown', 'retry', 'pending')",
                STATE_OF[verdict], reply.code if reply else None, reply.text if reply else None, email_id, position,
            )  # fmt: skip
    conclude(
        email_id, done.finished_at, again=None, sort_step=0, retry_count=waits[0], lost_count=waits[1],
        summary=done.outcome.summary,
    )  # fmt: skip
