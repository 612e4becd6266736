"""How much happened when, for the charts: what the leader has counted by the minute."""

from __future__ import annotations

from dataclasses import dataclass

from models.database import rows, run, write
from utils.clock import DAY, HOUR, MINUTE

KEPT = 8 * DAY
SPANS = {
    "hour": (HOUR, MINUTE),
    "day": (DAY, 15 * MINUTE),
    "week": (7 * DAY, 2 * HOUR),
}  # whole, and a step, in ms


@dataclass(frozen=True, slots=True)
class Step:
    """What happened from `at` (ms) to the next step."""

    at: int
    numbers: dict[str, int]

    def of(self, *what: str) -> int:
        return sum(self.numbers.get(one, 0) for one in what)


def steps(span: str, now: int) -> list[Step]:
    """The last hour, day or week, oldest first; the newest step is still filling. KeyError for another span."""
    whole, size = SPANS[span]
    minutes = size // MINUTE
    last = now // MINUTE // minutes * minutes
    first = last - (whole // size - 1) * minutes
    found: dict[int, dict[str, int]] = {}
    for start, what, number in rows(
        "SELECT minute - minute % ?, what, sum(number) FROM minutes WHERE minute >= ? GROUP BY 1, 2",
        minutes,
        first,
    ):
        found.setdefault(start, {})[what] = int(number)
    return [Step(minute * MINUTE, found.get(minute, {})) for minute in range(first, last + 1, minutes)]


def prune(now: int) -> int:
    return write(lambda: run("DELETE FROM minutes WHERE minute < ?", (now - KEPT) // MINUTE))
