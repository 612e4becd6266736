"""Taking back what a dead or stuck process had claimed.

Before the dot, an email cannot have been delivered: it returns to its place, no attempt burnt. After it, only the
server knows: its recipients are `unknown`, and the email's `on_unknown` decides. After a reboot the stages written
last may be missing, since they are not fsynced; every claimed email counts as handed over then.
"""

from __future__ import annotations

from models.database import FOR_UPDATE, marks, row, rows, run, write
from models.email import Event, OnUnknown, RecipientState
from services import health, quota, record
from services.composing import copies
from services.relay import Policy
from services.retry import GiveUp, RetryAt
from services.settle import conclude, when_again

REBOOTED = "the machine went down while it was being sent"
DIED = "the process ended after the final dot, before the server's answer"
DIED_BEFORE = "its process ended before the final dot"
STOPPED = "delivery stopped after the final dot, before the server's answer"
DEATHS_TO_BLAME = 3  # an email that was in hand at so many deaths in a row may be what kills


def take_back(
    policy: Policy, instance_id: int, now: int, *, rebooted: bool, may_live: bool = False
) -> tuple[int, int]:  # fmt: skip
    """End an instance: its leases, its probes, its lead. (returned, unknown) emails.

    One that lives no more loses its slots and its row as well. One that `may_live`, being only silent, may still have
    its connections open: they count against the configs until it leaves, or is given up for good.
    """

    def job() -> tuple[int, int]:
        if row(f"SELECT 1 FROM instances WHERE id = ? {FOR_UPDATE}", instance_id) is None:
            return 0, 0  # somebody else was first
        counts = _end_leases(policy, instance_id, now, rebooted)
        run("UPDATE health SET probe_instance = NULL WHERE probe_instance = ?", instance_id)
        run("DELETE FROM leaders WHERE instance_id = ?", instance_id)
        if may_live:
            run("UPDATE instances SET ended_at = ? WHERE id = ?", now, instance_id)
        else:
            copies.end_leases_of(instance_id, now)
            run("DELETE FROM slots WHERE instance_id = ?", instance_id)
            run("DELETE FROM instances WHERE id = ?", instance_id)
        return counts

    return write(job, durable=True)


def take_back_lease(policy: Policy, lease: int, why: str, now: int) -> None:
    """End the claim of a worker that is stuck; that counts against the config."""

    def job() -> None:
        held = rows(f"SELECT id, dot_at, carrier_id FROM emails WHERE lease = ? {FOR_UPDATE}", lease)
        for email_id, dot_at, _ in held:
            if dot_at is None:
                _return(policy, email_id, why, now)
            else:
                _lose(policy, email_id, why, now)
        if held:
            health.hung(held[0][2], why, now)
            health.end_any_probe(held[0][2])

    write(job, durable=True)


def put_back(policy: Policy, email_id: int, lease: int, why: str, now: int) -> None:
    """One email of a claim cannot go now, and the others need not wait for it: as after a death, twice at once, then
    ever later. No dot of it is out."""

    def job() -> None:
        held = f"SELECT 1 FROM emails WHERE id = ? AND lease = ? AND dot_at IS NULL {FOR_UPDATE}"
        if row(held, email_id, lease):
            _return(policy, email_id, why, now)

    write(job)


def leases_of(instance_id: int) -> set[int]:
    """The tokens of all that an instance has in hand."""
    found = rows("SELECT DISTINCT lease FROM emails WHERE state = 'sending' AND instance_id = ?", instance_id)
    return {int(lease) for (lease,) in found if lease is not None}


def take_back_unheld(lease: int, now: int) -> None:
    """End a claim that nobody knows of: nothing was begun."""
    record.give_back(
        [int(one) for (one,) in rows("SELECT id FROM emails WHERE lease = ?", lease)], lease, now
    )


def take_back_started(policy: Policy, email_ids: list[int], lease: int, now: int) -> None:
    """End leases of emails whose dot may be out though no answer was read: a fault of ours stopped the dialog."""

    def job() -> None:
        held = f"SELECT id FROM emails WHERE lease = ? AND id IN ({marks(len(email_ids))}) {FOR_UPDATE}"
        for (email_id,) in rows(held, lease, *email_ids):
            _lose(policy, email_id, STOPPED, now)

    write(job)


def _end_leases(policy: Policy, instance_id: int, now: int, rebooted: bool) -> tuple[int, int]:
    claimed = rows(
        f"SELECT id, dot_at FROM emails WHERE state = 'sending' AND instance_id = ? {FOR_UPDATE}", instance_id
    )
    lost = 0
    for email_id, dot_at in claimed:
        if dot_at is None and not rebooted:
            _return(policy, email_id, DIED_BEFORE, now)
        else:
            _lose(policy, email_id, REBOOTED if rebooted else DIED, now)
            lost += 1
    return len(claimed) - lost, lost


def _return(policy: Policy, email_id: int, why: str, now: int) -> None:
    """No dot went out: back to its place. One that was in hand whenever a process died is put off, and it counts."""
    email = row(
        "SELECT carrier_id, charged_minute, recipient_count, retry_count, lost_count, due_at, expires_at, max_retries"
        " FROM emails WHERE id = ?",
        email_id,
    )
    assert email is not None
    carrier_id, minute, recipients, retry_count, lost_count, due_at, expires_at, max_retries = email
    if minute is not None:
        quota.charge(carrier_id, minute, -1, -recipients)
    again: RetryAt | GiveUp | None = None
    if lost_count + 1 >= DEATHS_TO_BLAME:
        limit = policy.max_retries if max_retries is None else max_retries
        again = when_again(policy, retry_count, limit, due_at, expires_at, None, now)
    Event.create(email_id=email_id, at=now, type="returned", detail=why)
    conclude(
        email_id, now, again=again, sort_step=policy.priority_step,
        retry_count=retry_count + (again is not None), lost_count=lost_count + 1, summary=why,
    )  # fmt: skip


def _lose(policy: Policy, email_id: int, why: str, now: int) -> None:
    """Mark an email's undecided recipients unknown, then resend or hold as it asks."""
    email = row(
        "SELECT carrier_id, instance_id, claimed_at, dot_at, retry_count, lost_count, on_unknown, due_at, expires_at,"
        " max_retries FROM emails WHERE id = ?",
        email_id,
    )
    assert email is not None
    (
        carrier_id,
        instance_id,
        claimed_at,
        dot_at,
        retry_count,
        lost_count,
        on_unknown,
        due_at,
        expires_at,
        limit,
    ) = email
    run(
        "INSERT INTO attempts (email_id, smtp_config_id, instance_id, claimed_at, dot_at, finished_at, stage, outcome,"
        " blame, reply) VALUES (?, ?, ?, ?, ?, ?, 'dot', 'unknown', 'nobody', ?)",
        email_id, carrier_id, instance_id, claimed_at, dot_at, now, why,
    )  # fmt: skip
    Event.create(email_id=email_id, at=now, type="unknown", detail=why)
    resend = on_unknown == OnUnknown.RESEND
    again: RetryAt | GiveUp | None = None
    limit = policy.max_retries if limit is None else limit
    if resend and not 0 == retry_count < limit:  # the first time at once: a restart should not hold up mail
        again = when_again(policy, retry_count, limit, due_at, expires_at, None, now)
    # With the dot, the replies to RCPT were recorded: what they put off or refused is not in doubt.
    undecided = "'pending'" if dot_at is not None else "'pending', 'retry'"
    goes_again = resend and not isinstance(again, GiveUp)
    run(
        f"UPDATE recipients SET state = ? WHERE email_id = ? AND state IN ({undecided})",
        RecipientState.RETRY if goes_again else RecipientState.UNKNOWN, email_id,
    )  # fmt: skip
    conclude(
        email_id, now, again=again, sort_step=policy.priority_step, retry_count=retry_count + resend,
        lost_count=lost_count, summary=f"unknown: {why}",
    )  # fmt: skip
