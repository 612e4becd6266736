"""An SMTP config as its owner reads it: settings, use of both windows, what holds it. Never the password."""

from __future__ import annotations

from typing import Any

from models.smtp_config import Health, SmtpConfig
from services import quota, readiness
from utils.clock import iso, iso_or_none

_SETTINGS = (
    "id", "name", "email_address", "display_name", "smtp_host", "smtp_port", "username", "use_tls", "use_ssl",
    "verify_tls", "active", "daily_limit", "hourly_limit", "limit_unit", "max_connections",
    "max_messages_per_connection", "weight", "from_domains", "allow_any_sender", "shared", "verp", "sandbox",
)  # fmt: skip


def view(config: SmtpConfig, now: int) -> dict[str, Any]:
    health = Health.get_or_none(Health.smtp_config_id == config.id) or Health(smtp_config_id=config.id)
    windows = quota.windows_of(config, now)
    hold = readiness.hold_of(config, health, now)
    settings = {name: getattr(config, name) for name in _SETTINGS}
    return settings | {
        "tenant_id": config.tenant or None,
        "has_password": config.password is not None,
        "uses_token": config.by_token,
        "account_id": config.account_id,
        "sent_count_hour": windows.hour_used,
        "sent_count_today": windows.day_used,
        "windows": {
            "unit": windows.unit,
            "hour": {"used": windows.hour_used, "limit": windows.hour_limit or None},
            "day": {"used": windows.day_used, "limit": windows.day_limit or None},
            "next_free_at": iso_or_none(windows.next_free_at),
        },
        "breaker": _breaker(health, now),
        "pause": _pause(health, now),
        "hold": {"kind": hold.kind, "until": iso_or_none(hold.until), "detail": hold.detail}
        if hold
        else None,
        "next_available_at": iso_or_none(hold.until) if hold else iso(now),
        "last_sent": iso_or_none(health.last_sent),
        "last_error": health.last_error,
        "last_error_at": iso_or_none(health.last_error_at),
        "created_at": iso(config.created_at),
        "updated_at": iso(config.updated_at),
    }


def _breaker(health: Health, now: int) -> dict[str, Any]:
    if health.open_until is None:
        return {"state": "closed", "until": None, "reason": None}
    state = "open" if health.open_until > now else "half_open"
    return {"state": state, "until": iso(health.open_until), "reason": health.open_reason}


def _pause(health: Health, now: int) -> dict[str, Any] | None:
    """By a person (no end), or by the provider's words."""
    if health.paused:
        return {"by": "person", "until": None, "reason": None}
    if health.pause_until is not None and health.pause_until > now:
        return {"by": "provider", "until": iso(health.pause_until), "reason": health.pause_reason}
    return None
