"""Why a config may not be used right now. One vocabulary for claims, `why`, the config's page and the doctor."""

from __future__ import annotations

from dataclasses import dataclass

from models.database import row
from models.smtp_config import Health, SmtpConfig
from services import quota

# `standing_hold(…) is None` as a condition on smtp_configs c and health h, with `now` twice.
UNHELD = (
    "c.active AND NOT h.paused AND (h.pause_until IS NULL OR h.pause_until <= ?)"
    " AND (h.open_until IS NULL OR (h.open_until <= ? AND h.probe_instance IS NULL))"
)


@dataclass(frozen=True, slots=True)
class Hold:
    """`kind` is one word; `until` (ms) is None where only a person can lift it."""

    kind: str  # inactive, paused, provider_pause, breaker, probing, quota_hour, quota_day, connections
    until: int | None
    detail: str


def hold_of(config: SmtpConfig, health: Health, now: int) -> Hold | None:
    """What holds the config, connections aside; None when mail may go."""
    return standing_hold(config, health, now) or _quota_hold(config, now)


def standing_hold(config: SmtpConfig, health: Health, now: int) -> Hold | None:
    """Holds that are told by the two rows alone."""
    if not config.active:
        return Hold("inactive", None, "switched off")
    if health.paused:
        return Hold("paused", None, "paused by a person")
    if health.pause_until is not None and health.pause_until > now:
        return Hold(
            "provider_pause", health.pause_until, health.pause_reason or "the provider asked for a pause"
        )
    if health.open_until is not None:
        if health.open_until > now:
            return Hold("breaker", health.open_until, health.open_reason or "connection failures")
        if health.probe_instance is not None:
            return Hold("probing", None, "one email is trying whether it works again")
    return None


def connections_open(config_id: int) -> int:
    """Connections that all processes hold to the config."""
    found = row("SELECT sum(connections) FROM slots WHERE smtp_config_id = ?", config_id)
    return int(found[0] or 0) if found else 0


def connections_allowed(max_connections: int, window: float, open_until: int | None) -> int:
    """What a config has earned (its window), never more than its limit. A half-open breaker gets one."""
    return 1 if open_until is not None else max(1, min(max_connections, int(window)))


def _quota_hold(config: SmtpConfig, now: int) -> Hold | None:
    if not (config.hourly_limit or config.daily_limit):
        return None
    windows = quota.windows_of(config, now)
    kind = windows.spent
    if kind is None:
        return None
    used, limit = (
        (windows.day_used, windows.day_limit)
        if kind == "quota_day"
        else (windows.hour_used, windows.hour_limit)
    )
    return Hold(kind, windows.next_free_at, f"{used} of {limit} {windows.unit} used")
