"""Taking back what a dead or stuck process had claimed.

Before the dot, an email cannot have been delivered: it returns to its place, no attempt burnt. After it, only the
server knows: its recipients are `unknown`, and the email's `on_unknown` decides. After a reboot the stages written
last may be missing, since they are not fsynced; every claimed email counts as handed over then.
"""

from __future__ import annotations

from models.database import marks, row, rows, run, write
from models.email import Event
from services import health, quota
from services.record import conclude
from services.relay import Policy


def take_back(policy: Policy, instance_id: int, now: int, *, rebooted: bool) -> tuple[int, int]:
    """End an instance that lives no more: its leases, slots, probes and row. (returned, unknown) emails."""

    def job() -> tuple[int, int]:
        counts = _leases(policy, instance_id, now, "" if not rebooted else "reboot")
        run("DELETE FROM slots WHERE instance_id = ?", instance_id)
        run("UPDATE health SET probe_instance = NULL WHERE probe_instance = ?", instance_id)
        run("DELETE FROM leaders WHERE instance_id = ?", instance_id)
        run("DELETE FROM instances WHERE id = ?", instance_id)
        return counts

    return write(job, durable=True)


def take_back_lease(policy: Policy, lease: int, why: str, now: int) -> None:
    """End the claim of a worker that is stuck; that counts against the config."""

    def job() -> None:
        held = rows("SELECT id, dot_at, carrier_id FROM emails WHERE lease = ?", lease)
        for email_id, dot_at, _ in held:
            if dot_at is None:
                _return(email_id, now, why)
            else:
                _lose(policy, email_id, why, now)
        if held:
            health.failed(held[0][2], why, now)

    write(job, durable=True)


def take_back_started(policy: Policy, email_ids: list[int], lease: int, now: int) -> None:
    """End leases of emails whose dot may be out though no answer was read: a fault of ours stopped the dialog."""

    def job() -> None:
        held = f"SELECT id FROM emails WHERE lease = ? AND id IN ({marks(len(email_ids))})"
        for (email_id,) in rows(held, lease, *email_ids):
            _lose(policy, email_id, "delivery stopped after the final dot, before the server's answer", now)

    write(job)


def _leases(policy: Policy, instance_id: int, now: int, why: str) -> tuple[int, int]:
    claimed = rows("SELECT id, dot_at FROM emails WHERE state = 'sending' AND instance_id = ?", instance_id)
    lost = 0
    for email_id, dot_at in claimed:
        if dot_at is None and not why:
            _return(email_id, now, "its process ended before the final dot")
        else:
            _lose(
                policy,
                email_id,
                why or "the process ended after the final dot, before the server's answer",
                now,
            )
            lost += 1
    return len(claimed) - lost, lost


def _return(email_id: int, now: int, why: str) -> None:
    _refund(email_id)
    run(
        "UPDATE emails SET state = 'queued', lease = NULL, instance_id = NULL, charged_minute = NULL, updated_at = ?"
        " WHERE id = ?",
        now, email_id,
    )  # fmt: skip
    Event.create(email_id=email_id, at=now, type="returned", detail=why)


def _refund(email_id: int) -> None:
    found = row("SELECT carrier_id, charged_minute, recipient_count FROM emails WHERE id = ?", email_id)
    if found is not None and found[1] is not None:
        quota.charge(found[0], found[1], -1, -found[2])


def _lose(policy: Policy, email_id: int, why: str, now: int) -> None:
    """Mark an email's undecided recipients unknown, then resend or hold as it asks."""
    if why == "reboot":
        why = "the machine went down while it was being sent"
    email = row(
        "SELECT carrier_id, instance_id, claimed_at, dot_at, retry_count, lost_count, on_unknown"
        " FROM emails WHERE id = ?",
        email_id,
    )
    assert email is not None
    carrier_id, instance_id, claimed_at, dot_at, retry_count, lost_count, on_unknown = email
    run(
        "INSERT INTO attempts (email_id, smtp_config_id, instance_id, claimed_at, dot_at, finished_at, stage, outcome,"
        " blame, reply) VALUES (?, ?, ?, ?, ?, ?, 'dot', 'unknown', 'nobody', ?)",
        email_id, carrier_id, instance_id, claimed_at, dot_at, now, why,
    )  # fmt: skip
    Event.create(email_id=email_id, at=now, type="unknown", detail=why)
    run(
        "UPDATE recipients SET state = ? WHERE email_id = ? AND state IN ('pending', 'retry')",
        "retry" if on_unknown == "resend" else "unknown", email_id,
    )  # fmt: skip
    conclude(
        email_id, now, again=None, sort_step=policy.priority_step, retry_count=retry_count + (on_unknown == "resend"),
        lost_count=lost_count, summary=f"unknown: {why}", keep_unknown=True,
    )  # fmt: skip
