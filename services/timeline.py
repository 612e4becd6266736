"""What happened to an email, in order: told by its row, its attempts and its stored events together.

Ordinary deliveries need no event rows, so that a million of them do not write a million more.
"""

from __future__ import annotations

from typing import Any

from models.email import Attempt, Email, Event, State
from services.reading import attempts_of, config_names, find
from utils.clock import iso

_OUTCOMES = {"retry": "deferred"}  # the words of an attempt, where the timeline has another


def timeline(tenant: str | None, email_id: int) -> list[dict[str, Any]]:
    """Lines of `at` (ISO), `type`, `detail`, `smtp_config`, `code` and `reply`, oldest first."""
    email = find(tenant, email_id)
    names = config_names()
    lines = [_line(email.created_at, "accepted")]
    for attempt in attempts_of(email_id):
        lines += _of_attempt(attempt, names)
    if email.state == State.SENDING:
        lines += _of_claim(email, names)
    events = Event.select().where(Event.email_id == email_id).order_by(Event.id)
    lines += [_line(one.at, one.type, one.detail) for one in events]
    lines.sort(key=lambda line: int(line["at"]))  # stable: at equal times they stay as they happened
    return [line | {"at": iso(line["at"])} for line in lines]


def _of_attempt(attempt: Attempt, names: dict[int, str]) -> list[dict[str, Any]]:
    name = names.get(attempt.smtp_config_id)
    lines = [_line(attempt.claimed_at, "claimed", smtp_config=name)]
    if attempt.dot_at is not None:
        lines.append(_line(attempt.dot_at, "handed_over", smtp_config=name))
    kind = _OUTCOMES.get(attempt.outcome, attempt.outcome)
    detail = "" if attempt.outcome == "sent" else f"at {attempt.stage}; blamed: {attempt.blame}"
    lines.append(_line(attempt.finished_at, kind, detail, name, attempt.code, attempt.reply))
    return lines


def _of_claim(email: Email, names: dict[int, str]) -> list[dict[str, Any]]:
    name = names.get(email.carrier_id or 0)
    lines = [_line(email.claimed_at or email.updated_at, "claimed", smtp_config=name)]
    if email.dot_at is not None:
        lines.append(_line(email.dot_at, "handed_over", smtp_config=name))
    return lines


def _line(
    at: int, kind: str, detail: str = "", smtp_config: str | None = None, code: int | None = None,
    reply: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "at": at,
        "type": kind,
        "detail": detail,
        "smtp_config": smtp_config,
        "code": code,
        "reply": reply,
    }
