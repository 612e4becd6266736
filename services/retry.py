"""When to try again, or that it is enough."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

SECOND, HOUR = 1_000, 3_600_000  # ms

FIRST_DELAY = 60 * SECOND
LONGEST_DELAY = 4 * HOUR
LONGEST_NAMED = 24 * HOUR // SECOND  # seconds
JITTER = 0.2


@dataclass(frozen=True, slots=True)
class RetryAt:
    at: int  # ms


@dataclass(frozen=True, slots=True)
class GiveUp:
    """`reason` is for people."""

    limit: Literal["retries", "age", "expiry"]
    reason: str


def next_attempt(
    retry_count: int,
    now: int,
    *,
    max_retries: int,
    max_age_hours: int,
    created_at: int,
    expires_at: int | None,
    retry_after: int | None,
    rng: Random,
) -> RetryAt | GiveUp:
    """After `retry_count` retries that counted. Times are ms since the epoch; `retry_after` is the delay
    that a reply named, in seconds: never come back before it, but no later than a day for it.

    Whichever limit ends first decides: a try that could only come after the end is not waited for.
    """
    if retry_count >= max_retries:
        return GiveUp("retries", f"no retry is left of {max_retries}")
    delay = _backoff(retry_count, rng)
    if retry_after is not None:
        delay = max(delay, min(retry_after, LONGEST_NAMED) * SECOND)
    at = now + delay
    oldest = created_at + max_age_hours * HOUR
    if expires_at is not None and expires_at <= oldest and at > expires_at:
        return GiveUp("expiry", "the next try would come after its expiry")
    if at > oldest:
        return GiveUp("age", f"the next try would come after {max_age_hours} hours, the age limit")
    return RetryAt(at)


def _backoff(retry_count: int, rng: Random) -> int:
    """1 min, 2, 4 … 4 h. With jitter, since mail that one outage deferred together would else come back
    together, each time, and be deferred together again. It is applied after the cap, where most of the
    waiting is done."""
    delay = min(FIRST_DELAY << min(retry_count, 20), LONGEST_DELAY)
    return round(delay * rng.uniform(1 - JITTER, 1 + JITTER))
