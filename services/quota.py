"""Hourly and daily limits, exact in any rolling window.

Use is kept in minute buckets. A claim may spend while the buckets of the current and the previous 60 (1,440)
minutes hold less than the limit: those 61 (1,441) buckets cover every window of 60 (1,440) minutes that ends now,
so there is never one email too many; a slot frees up to a minute late. Buckets dated in the future (the clock was
set back) count as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from models.database import NO_KEY_UPDATE, row, rows, run, run_many
from models.smtp_config import SmtpConfig
from utils.clock import MINUTE

HOUR_BUCKETS = 60
DAY_BUCKETS = 1_440


class Limited(Protocol):
    """What of a config its quota depends on."""

    @property
    def id(self) -> int: ...
    @property
    def hourly_limit(self) -> int: ...
    @property
    def daily_limit(self) -> int: ...
    @property
    def limit_unit(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Windows:
    """Use of both windows in the config's unit. Limits of 0 are none; `next_free_at` is set while one is spent."""

    unit: str
    hour_used: int
    hour_limit: int
    day_used: int
    day_limit: int
    next_free_at: int | None

    @property
    def room(self) -> int | None:
        """How much may be spent now; None without limits."""
        rooms = []
        if self.hour_limit:
            rooms.append(self.hour_limit - self.hour_used)
        if self.day_limit:
            rooms.append(self.day_limit - self.day_used)
        return max(0, min(rooms)) if rooms else None

    @property
    def spent(self) -> str | None:
        """`quota_day` or `quota_hour` when that one is used up; the longer wait is named."""
        if self.day_limit and self.day_used >= self.day_limit:
            return "quota_day"
        if self.hour_limit and self.hour_used >= self.hour_limit:
            return "quota_hour"
        return None


def minute_of(now: int) -> int:
    return now // MINUTE


def windows(config_id: int, now: int) -> Windows:
    return windows_of(SmtpConfig.get_by_id(config_id), now)


def windows_of(config: SmtpConfig, now: int) -> Windows:
    """Use of a config now."""
    hour_used = _used(config, now, HOUR_BUCKETS)
    day_used = _used(config, now, DAY_BUCKETS)
    next_free = None
    if config.hourly_limit and hour_used >= config.hourly_limit:
        next_free = _frees_at(config, now, HOUR_BUCKETS, hour_used - config.hourly_limit)
    if config.daily_limit and day_used >= config.daily_limit:
        day_free = _frees_at(config, now, DAY_BUCKETS, day_used - config.daily_limit)
        next_free = max(next_free or 0, day_free)
    return Windows(config.limit_unit, hour_used, config.hourly_limit, day_used, config.daily_limit, next_free)


def room(config: Limited, now: int) -> int | None:
    """How much the config may spend now, in its unit; None without limits. Cheaper than `windows_of`."""
    rooms = []
    if config.hourly_limit:
        rooms.append(config.hourly_limit - _used(config, now, HOUR_BUCKETS))
    if config.daily_limit:
        rooms.append(config.daily_limit - _used(config, now, DAY_BUCKETS))
    return max(0, min(rooms)) if rooms else None


def lock_config(config_id: int) -> None:
    """For a job that spends only while there is room: whoever else would spend waits until it is committed."""
    row(f"SELECT 1 FROM smtp_configs WHERE id = ? {NO_KEY_UPDATE}", config_id)


def charge(config_id: int, minute: int, messages: int, recipients: int) -> None:
    """Add to a bucket (negative: give back). Inside a write job."""
    run(
        "INSERT INTO usage (smtp_config_id, minute, messages, recipients) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (smtp_config_id, minute) DO UPDATE SET"
        " messages = usage.messages + excluded.messages, recipients = usage.recipients + excluded.recipients",
        config_id, minute, messages, recipients,
    )  # fmt: skip


def move(config_id: int, from_minute: int, to_minute: int, messages: int, recipients: int) -> None:
    """Restamp a reservation: what counts is the minute of the dot."""
    if from_minute != to_minute:
        run_many(
            "UPDATE usage SET messages = messages - ?, recipients = recipients - ?"
            " WHERE smtp_config_id = ? AND minute = ?",
            [(messages, recipients, config_id, from_minute)],
        )
        charge(config_id, to_minute, messages, recipients)


def buckets(config: SmtpConfig, now: int, span: int) -> list[tuple[int, int]]:
    """(minute, use in the config's unit) over the current and the previous `span` minutes, oldest first."""
    return [
        (int(minute), int(used))
        for minute, used in rows(
            f"SELECT minute, {_column(config)} FROM usage WHERE smtp_config_id = ? AND minute >= ? ORDER BY minute",
            config.id, minute_of(now) - span,
        )
        if used
    ]  # fmt: skip


def _used(config: Limited, now: int, span: int) -> int:
    found = row(
        f"SELECT sum({_column(config)}) FROM usage WHERE smtp_config_id = ? AND minute >= ?",
        config.id, minute_of(now) - span,
    )  # fmt: skip
    return int(found[0] or 0) if found else 0


def _frees_at(config: SmtpConfig, now: int, span: int, over: int) -> int:
    """When the use has dropped below the limit, being `over` it or just at it (0)."""
    dropped = 0
    for minute, used in buckets(config, now, span):
        dropped += used
        if dropped > over:
            return (minute + span + 1) * MINUTE
    return now


def _column(config: Limited) -> str:
    return "recipients" if config.limit_unit == "recipients" else "messages"
