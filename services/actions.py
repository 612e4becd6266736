"""What a person or an app may do with a stored email: cancel, send again, settle, change, erase.

Each is one write job, committed durably, that looks at the email and moves it by a guarded update, so that it cannot
undo what a worker has done meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from models.database import FOR_UPDATE, marks, row, run, write
from models.email import ACCEPTED, WAITING, Email, Event, RecipientState, State
from services import quota
from services.errors import ConflictError, FieldError, InvalidInputError
from services.reading import MAX_ID, find
from services.relay import Relay
from services.retention import drop_contents
from services.routing import lane_for
from services.settle import conclude
from services.submission import LATEST_SEND
from utils.clock import iso

OWN_EVENTS = (
    "cancelled",
    "changed",
    "copied",
    "erased",
    "expired",
    "requeued",
    "resolved",
)  # details that quote no reply


class Unset(Enum):
    UNSET = "unset"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Patch:
    """What to change of a waiting email. `smtp_config_id` None unpins it; UNSET leaves it."""

    priority: int | None = None
    send_at: int | None = None  # ms
    smtp_config_id: int | Unset | None = UNSET


def cancel(tenant: str | None, email_id: int, now: int) -> None:
    """Stop an email that has not left; one that is cancelled already stays so. ConflictError once it left."""

    def job() -> None:
        email = _found(tenant, email_id)
        if email.state != State.CANCELLED:
            _cancel(email, now)

    write(job, durable=True)


def retry(relay: Relay, tenant: str | None, email_id: int, now: int) -> None:
    """Queue a failed, cancelled or unknown email again, for those recipients that have not got it."""

    def job() -> None:
        email = _found(tenant, email_id)
        if email.state not in (State.FAILED, State.CANCELLED, State.UNKNOWN):
            raise ConflictError(
                f"it is {email.state}: only failed, cancelled or unknown mail can be sent again"
            )
        if not email.has_content:
            raise ConflictError("its content was erased", code="CONTENT_ERASED")
        if email.expires_at is not None and email.expires_at <= now:
            raise ConflictError(f"it expired at {iso(email.expires_at)}", code="EXPIRED")
        to_try = run(
            # The suppressed ones too: whoever still is, is left out again when its turn comes.
            f"UPDATE recipients SET state = ? WHERE email_id = ? AND state NOT IN ({marks(len(ACCEPTED))})",
            RecipientState.PENDING, email_id, *ACCEPTED,
        )  # fmt: skip
        if not to_try:
            raise ConflictError("every recipient has got it")
        _move(
            email, now, state=State.QUEUED, lane_id=_lane_now(email, to_try), recipient_count=to_try, retry_count=0,
            lost_count=0, available_at=now, due_at=now, finished_at=None,
            sort_at=now + (email.priority - 1) * relay.policy.priority_step,
        )  # fmt: skip
        _note(email_id, now, "requeued")

    write(job, durable=True)
    relay.wake()


def resolve(tenant: str | None, email_id: int, outcome: str, now: int) -> None:
    """Settle an unknown email: `sent` or `failed` is what became of its unknown recipients."""
    if outcome not in (RecipientState.SENT, RecipientState.FAILED):
        raise InvalidInputError.of([FieldError("outcome", "must be sent or failed")])

    def job() -> None:
        email = _found(tenant, email_id)
        if email.state != State.UNKNOWN:
            raise ConflictError(f"it is {email.state}: only unknown mail can be settled")
        run(
            "UPDATE recipients SET state = ? WHERE email_id = ? AND state = ?",
            outcome, email_id, RecipientState.UNKNOWN,
        )  # fmt: skip
        _note(email_id, now, "resolved", outcome)
        conclude(
            email_id, now, again=None, sort_step=0, retry_count=email.retry_count, lost_count=email.lost_count,
            summary=f"settled as {outcome} by hand",
        )  # fmt: skip

    write(job, durable=True)


def patch(relay: Relay, tenant: str | None, email_id: int, changes: Patch, now: int, user: str = "") -> None:
    """Reschedule, re-prioritise, re-pin or unpin an email that waits. `user`: who asks, for the pin."""

    def job() -> None:
        email = _found(tenant, email_id)
        if email.state not in WAITING:
            raise ConflictError(f"it is {email.state}: only waiting mail can be changed")
        values: dict[str, Any] = {}
        if changes.send_at is not None:
            values |= _rescheduled(email, changes.send_at, now)
        if changes.priority is not None:
            values["priority"] = changes.priority
        if values:
            priority = values.get("priority", email.priority)
            values["sort_at"] = (
                values.get("available_at", email.available_at) + (priority - 1) * relay.policy.priority_step
            )
        if not isinstance(changes.smtp_config_id, Unset):
            pin = changes.smtp_config_id
            lane = lane_for(email.tenant, email.sender, pin, email.recipient_count, user)
            values |= {"smtp_config_id": changes.smtp_config_id, "lane_id": lane}
        _move(email, now, **values)
        _note(email_id, now, "changed", _told(changes))

    write(job, durable=True)
    relay.wake()


def erase(tenant: str | None, email_id: int, now: int) -> None:
    """Delete what an email says, at once; its row, addresses and timeline stay until retention.

    Waiting mail is cancelled by it. ConflictError while it is being sent.
    """

    def job() -> None:
        email = _found(tenant, email_id)
        if email.state == State.SENDING:
            raise ConflictError("it is being sent: cancel it first, or wait", code="ON_THE_WIRE")
        if email.state in WAITING:
            _cancel(email, now)
        drop_contents([email_id])
        run(
            "UPDATE emails SET subject = '', metadata = NULL, error_message = NULL, updated_at = ? WHERE id = ?",
            now, email_id,
        )  # fmt: skip
        # Servers quote what they refuse, so their replies go too.
        run("UPDATE recipients SET name = '', reply = NULL WHERE email_id = ?", email_id)
        run("UPDATE attempts SET reply = NULL, replies = NULL WHERE email_id = ?", email_id)
        Event.update(detail="").where(Event.email_id == email_id, Event.type.not_in(OWN_EVENTS)).execute()
        _note(email_id, now, "erased")

    write(job, durable=True)


def _cancel(email: Email, now: int) -> None:
    if email.state == State.SENDING:
        if email.dot_at is not None:
            raise ConflictError("it is already on the wire", code="ON_THE_WIRE")
        _give_quota_back(email)
    elif email.state not in WAITING:
        raise ConflictError(f"it is {email.state} already")
    # Without its lease, the worker that holds it finds so before the dot, and sends nothing.
    _move(
        email, now, state=State.CANCELLED, finished_at=now, lease=None, instance_id=None, charged_minute=None
    )  # fmt: skip
    _note(email.id, now, "cancelled")


def _found(tenant: str | None, email_id: int) -> Email:
    """The email, which nobody else changes until this write job is done."""
    row(f"SELECT 1 FROM emails WHERE id = ? {FOR_UPDATE}", min(email_id, MAX_ID))
    return find(tenant, email_id)


def _give_quota_back(email: Email) -> None:
    """Unless a part of this claim's recipients has been sent to already (452 "too many recipients")."""
    began = row(
        "SELECT 1 FROM attempts WHERE email_id = ? AND claimed_at = ? AND dot_at IS NOT NULL",
        email.id, email.claimed_at,
    )  # fmt: skip
    if began is None and email.carrier_id is not None and email.charged_minute is not None:
        quota.charge(email.carrier_id, email.charged_minute, -1, -email.recipient_count)


def _lane_now(email: Email, recipients: int) -> int:
    """The lane as it would be for a new email, since configs may have changed or gone meanwhile. ConflictError when
    none may carry it: that is no fault of the request."""
    try:
        return lane_for(email.tenant, email.sender, email.smtp_config_id, recipients)
    except InvalidInputError as exc:
        raise ConflictError(exc.message, code=exc.code, field=exc.field, details=exc.details) from None


def _rescheduled(email: Email, send_at: int, now: int) -> dict[str, Any]:
    if send_at > now + LATEST_SEND:
        raise InvalidInputError.of([FieldError("send_at", "more than a year ahead", "TOO_LATE")])
    if email.expires_at is not None and email.expires_at <= send_at:
        raise InvalidInputError.of([FieldError("send_at", "must be before its expires_at", "TOO_LATE")])
    state = State.SCHEDULED if send_at > now else State.QUEUED
    return {"state": state, "available_at": max(send_at, now), "due_at": max(send_at, now)}


def _move(email: Email, now: int, **values: Any) -> None:
    """Change an email, provided that it is still as it was read. Inside a write job."""
    same = (Email.id == email.id) & (Email.state == email.state)
    same &= (Email.lease == email.lease) & (Email.dot_at == email.dot_at)
    if not Email.update(updated_at=now, **values).where(same).execute():
        raise ConflictError("it changed meanwhile: look again")


def _note(email_id: int, now: int, kind: str, detail: str = "") -> None:
    Event.create(email_id=email_id, at=now, type=kind, detail=detail)


def _told(changes: Patch) -> str:
    parts = []
    if changes.priority is not None:
        parts.append(f"priority {changes.priority}")
    if changes.send_at is not None:
        parts.append(f"send_at {iso(changes.send_at)}")
    if not isinstance(changes.smtp_config_id, Unset):
        pin = changes.smtp_config_id
        parts.append("unpinned" if pin is None else f"smtp_config_id {pin}")
    return ", ".join(parts)
