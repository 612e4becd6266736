"""What a person has to look at, and what to do about it. In the order of how much it hurts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from models.account import AccountState
from models.database import database, row
from services import health_checks
from services.presence import running
from services.relay import Relay
from utils.clock import DAY, HOUR
from utils.machine import free_bytes

LATE = HOUR // 1_000  # seconds that mail may wait before it is worth a word
SHORT = 5  # times the space below which mail is refused
_HOLDS = {
    "breaker": "Its server cannot be reached or refuses the login: look at the error, and test the connection.",
    "provider_pause": "Its provider asked to wait. Mail goes on by itself; lower the limits if it happens often.",
    "quota_hour": "Its hourly limit is used up. Mail goes on by itself; add a config if that is too slow.",
    "quota_day": "Its daily limit is used up. Mail goes on by itself; add a config if that is too slow.",
    "paused": "Somebody has paused it.",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """`level`: danger (mail is stuck), warning (it may soon be), info. `advice` says what to do, `path` where."""

    level: str
    message: str
    advice: str
    path: str = ""


def alerts(relay: Relay, queue: dict[str, Any], now: int) -> list[Alert]:
    """`queue`: as services.stats tells it."""
    found = [*_whole(relay, queue, now), *_configs(queue), *_waiting(queue), *_accounts()]
    return sorted(found, key=lambda one: ("danger", "warning", "info").index(one.level))


def _whole(relay: Relay, queue: dict[str, Any], now: int) -> Iterator[Alert]:
    if queue["paused"]:
        yield Alert("warning", "The relay is paused: mail is accepted, none is delivered.", "Resume it here.")
    elif not running(relay.policy, now):
        yield Alert("danger", "No process delivers mail.", "Look at the log, and restart the relay.")
    free, needed = free_bytes(database.folder or relay.policy.data_dir), relay.policy.min_free_bytes
    if free < SHORT * needed:
        yield Alert(
            "danger" if free < needed else "warning",
            f"{free // 2**20} MB of disk are free; below {needed // 2**20} MB mail is refused.",
            "Make room, or let retention delete sooner (RETENTION_DAYS, BODY_RETENTION_DAYS).",
        )
    if health_checks.damaged():
        yield Alert("danger", "The database is damaged.", "See what `python app.py doctor` says.")


def _configs(queue: dict[str, Any]) -> Iterator[Alert]:
    active = [one for one in queue["configs"] if one["active"]]
    if not active:
        yield Alert(
            "danger", "No SMTP config is active: no mail can be delivered.", "Add one.", "/smtp-configs/new"
        )
    for one in active:
        if one["hold"] in _HOLDS:
            level = "danger" if one["hold"] == "breaker" else "warning"
            path = f"/smtp-configs/{one['id']}"
            until = f" until {one['held_until']}" if one["held_until"] else ""
            yield Alert(level, f"{one['name']} is held{until}.", _HOLDS[one["hold"]], path)


def _waiting(queue: dict[str, Any]) -> Iterator[Alert]:
    unknown, late = queue["counts"]["unknown"], queue["oldest_waiting_seconds"]
    if unknown:
        told = "1 email is" if unknown == 1 else f"{unknown} emails are"
        yield Alert(
            "warning",
            f"{told} in doubt: the connection broke before the server's answer came.",
            "Say for each whether it was sent, or send it again.",
            "/emails?status=unknown",
        )
    if late is not None and late > LATE and not queue["paused"]:
        hours = late * 1_000 / (DAY if late * 1_000 > DAY else HOUR)
        unit = "days" if late * 1_000 > DAY else "hours"
        yield Alert(
            "warning",
            f"Mail has waited for {hours:.1f} {unit}.",
            "See what holds it.",
            "/emails?status=queued",
        )


def _accounts() -> Iterator[Alert]:
    found = row(
        "SELECT count(*) FROM accounts WHERE deleted_at IS NULL AND is_enabled AND state = ?",
        AccountState.NEEDS_REAUTH,
    )
    count = int(found[0]) if found else 0
    if count:
        told = "1 mail account needs" if count == 1 else f"{count} mail accounts need"
        yield Alert(
            "warning", f"{told} to log in anew.", "Give the password or token again.", "/inbox/accounts"
        )
