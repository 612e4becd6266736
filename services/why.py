"""Why an email is not sent yet, and when it will be: the one reason that holds it now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.database import rows
from models.email import WAITING, Email, RecipientState, State
from services.outlook import Option, Outlook, options_of, outlook
from services.readiness import Hold
from services.reading import config_names, find
from services.relay import Relay
from services.switches import relay_paused
from utils.clock import iso, iso_or_none

SHOWN = 5  # recipients that are named
_KINDS = {"inactive": "config_inactive", "paused": "config_paused", "probing": "breaker"}


@dataclass(frozen=True, slots=True)
class Reason:
    """`kind` is one word for programs, `message` a sentence for people. Times in ms."""

    kind: str
    message: str
    config: str | None = None
    position: int | None = None
    until: int | None = None
    expected_at: int | None = None


def why(relay: Relay, tenant: str | None, email_id: int, now: int) -> dict[str, Any]:
    """`position` counts the emails ahead; `until` is when what holds it ends; `expected_at` when it should go."""
    email = find(tenant, email_id)
    reason = _of_waiting(email, now) if email.state in WAITING else _of_other(email)
    return {
        "email_id": email.id,
        "status": email.state,
        "reason": reason.kind,
        "message": reason.message,
        "config": reason.config,
        "position": reason.position,
        "until": iso_or_none(reason.until),
        "expected_at": iso_or_none(reason.expected_at),
    }


def _of_other(email: Email) -> Reason:
    name = config_names().get(email.carrier_id or 0)
    through = f" through {name}" if name else ""
    error = f": {email.error_message}" if email.error_message else ""
    if email.state == State.SENDING:
        doing = "on the wire; the server's answer is awaited" if email.dot_at else "being sent"
        return Reason("sending", f"It is {doing}{through}.", name)
    if email.state == State.SENT:
        at = f" at {iso(email.sent_at)}" if email.sent_at else ""
        return Reason("sent", f"It was sent{at}{through}{error}.{_since(email)}", name)
    if email.state == State.FAILED:
        return Reason("failed", f"It failed{error}.", name)
    if email.state == State.CANCELLED:
        return Reason("cancelled", "It was cancelled; it goes only when it is queued again.")
    return Reason(
        "unknown", f"Whether the server took it is not known: send it again, or settle it{error}.", name
    )


def _since(email: Email) -> str:
    """Who has not got it all the same, or would not have wanted to."""
    found = rows(
        "SELECT address, state FROM recipients WHERE email_id = ? AND state IN (?, ?, ?) ORDER BY position LIMIT ?",
        email.id, RecipientState.BOUNCED, RecipientState.COMPLAINED, RecipientState.SUPPRESSED, SHOWN + 1,
    )  # fmt: skip
    told = [
        f" {address} is suppressed and got none." if state == RecipientState.SUPPRESSED
        else f" {address} {state}."
        for address, state in found[:SHOWN]
    ]  # fmt: skip
    return "".join(told) + (" More did." if len(found) > SHOWN else "")


def _of_waiting(email: Email, now: int) -> Reason:
    paused = relay_paused()
    options = options_of(email, now)
    place = outlook(email, options, now)
    expected = None if paused or place.uncounted else place.expected_at
    if email.state == State.SCHEDULED:
        message = f"It is scheduled for {iso(email.available_at)}."
        return Reason("schedule", message, until=email.available_at, expected_at=expected)
    if email.state == State.RETRY:
        error = f" The last one: {email.error_message}." if email.error_message else ""
        message = f"It is tried again at {iso(email.available_at)}.{error}"
        return Reason("retry", message, until=email.available_at, expected_at=expected)
    if paused:
        return Reason("relay_paused", "The whole relay is paused by a person.", position=place.position)
    if not options:
        return Reason("no_config", "No SMTP config may carry it: add one, or change what it is pinned to.")
    holds = [(one.hold, one) for one in options if one.hold is not None]
    if len(holds) == len(options):
        return _held(*min(holds, key=_end), place, expected)
    return _in_line([one for one in options if one.hold is None], place, expected)


def _end(held: tuple[Hold, Option]) -> float:
    """When a hold ends; holds that only a person lifts come last, whatever their order."""
    hold, option = held
    if hold.until is not None:
        return hold.until
    return float("inf") if option.account is None else float(2**63)


def _held(hold: Hold, option: Option, place: Outlook, expected: int | None) -> Reason:
    name = option.config.name
    kind = _KINDS.get(hold.kind, hold.kind)
    message = _told(hold, name)
    return Reason(kind, message, name, place.position, hold.until, expected)


def _told(hold: Hold, name: str) -> str:
    until = f" until {iso(hold.until)}" if hold.until is not None else ""
    if hold.kind in ("quota_hour", "quota_day"):
        window = "hourly" if hold.kind == "quota_hour" else "daily"
        if hold.until is None:
            return f"It has more recipients than the {window} limit of {name} allows at all."
        return f"The {window} limit of {name} leaves no room for it{until} ({hold.detail})."
    if hold.kind == "provider_pause":
        return f"The provider of {name} asked for a pause{until}: {hold.detail}."
    if hold.kind == "breaker":
        return f"{name} does not work; it is tried again at {iso(hold.until or 0)}: {hold.detail}."
    if hold.kind == "probing":
        return f"{name} did not work; {hold.detail}."
    return f"The SMTP config {name} is {hold.detail}."


def _in_line(free: list[Option], place: Outlook, expected: int | None) -> Reason:
    only = free[0].config.name if len(free) == 1 else None
    if place.uncounted:
        earliest = f"; it goes after {iso(place.expected_at)}" if place.expected_at is not None else ""
        message = f"More than {place.position:,} emails are ahead of it{earliest}."
        return Reason("position", message, only, place.position, place.expected_at)
    if place.position:
        emails = "1 email is" if place.position == 1 else f"{place.position:,} emails are"
        return Reason("position", f"{emails} ahead of it.", only, place.position, expected_at=expected)
    if all(one.full for one in free):
        message = "It is next; all connections that the SMTP config may have are busy."
        return Reason("connections", message, only, 0, expected_at=expected)
    return Reason("position", "It is next.", only, 0, expected_at=expected)
