"""The only place that reads the clock. Everything else is handed `now`.

Wall time is an int: milliseconds since the Unix epoch, UTC. Deadlines use the monotonic clock, in seconds,
because the wall clock may jump while a server keeps us waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

T = TypeVar("T")

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


# A moment of another clock, and our monotonic one when it was read: see `keep_to`.
_kept: tuple[int, float] | None = None


def now_ms() -> int:
    """Wall time in ms since the epoch."""
    kept = _kept
    if kept is None:
        return time.time_ns() // 1_000_000
    return kept[0] + int((time.monotonic() - kept[1]) * SECOND)


def keep_to(at: int | None, since: float = 0.0) -> None:
    """From here on go by a clock that was at `at` (ms) when `monotonic()` was `since`; None: by this machine's own."""
    global _kept
    _kept = None if at is None else (at, since)


def monotonic() -> float:
    """Seconds on a clock that never goes back."""
    return time.monotonic()


def processor_seconds() -> float:
    """Time that this thread has computed; others, however busy the machine, add nothing to it."""
    return time.thread_time()


def politely(items: Iterable[T], others: Callable[[], bool]) -> Iterator[T]:
    """The items, with a pause now and then in which other threads go on, as long as there are `others`.

    For long work that never waits: without it, they get their turn every few milliseconds only, and a delivery needs
    several turns for each email.
    """
    for index, item in enumerate(items):
        if index % 8 == 7 and others():
            time.sleep(0)  # some 60 us
        yield item


def iso(ms: int) -> str:
    """`2026-01-23T10:30:45.123Z` (ISO 8601, UTC)."""
    moment = datetime.fromtimestamp(ms / SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % SECOND:03d}Z"


def compact(ms: int) -> str:
    """`20260123T103045Z`: a time in a file's name, which sorts by it."""
    return f"{datetime.fromtimestamp(ms / SECOND, UTC):%Y%m%dT%H%M%SZ}"


def iso_or_none(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)


def parse_iso(text: str) -> int:
    """ms since the epoch from an ISO 8601 time that names its offset; ValueError otherwise."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("the time needs an offset, such as Z or +02:00")
    return to_ms(moment)


def to_ms(moment: datetime) -> int:
    """ms since the epoch from an aware datetime."""
    return round(moment.timestamp() * SECOND)
