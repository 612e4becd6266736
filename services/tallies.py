"""Totals behind the metrics: of all processes, over restarts, and whether or not the rows they count are still there.

Deliveries write nothing extra for them: attempts and events are numbered as they are stored, and the leader counts
those that came since its last look. Only how long accepting took is not stored; each process collects that and adds
it once a second.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque

from models.database import row, rows, run_many, write
from models.email import State

# Upper bounds in ms, of the size of what people ask: is accepting fast, and how soon is mail gone?
ACCEPT_BOUNDS = (2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000)
DELIVERY_BOUNDS = (
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000, 14_400_000, 86_400_000,
)  # fmt: skip
STEP = 10_000  # rows a look
_ENDED = (State.SENT, State.FAILED)
SHOWN_EVENTS = ("unknown", "bounced", "complained")  # in the charts, beside how emails ended

_ADD = (
    "INSERT INTO totals (name, value) VALUES (?, ?)"
    " ON CONFLICT (name) DO UPDATE SET value = totals.value + excluded.value"
)
_ADD_MINUTE = (
    "INSERT INTO minutes (minute, what, number) VALUES (?, ?, ?)"
    " ON CONFLICT (minute, what) DO UPDATE SET number = minutes.number + excluded.number"
)


def totals() -> Counter[str]:
    """Every total by its name, such as `attempts/sent` or `accept/le/25`."""
    return Counter(dict(rows("SELECT name, value FROM totals")))


def flush(accept_ms: deque[int]) -> None:
    """Add the times that this process collected; what cannot be written now is written next time."""
    times = list(accept_ms)
    if not times:
        return
    found = _histogram("accept", times, ACCEPT_BOUNDS)
    write(lambda: _add(found))
    for _ in times:  # others only append meanwhile
        accept_ms.popleft()


def last_ids() -> tuple[int, int, int]:
    """The newest attempt, event and email that are stored."""
    return _newest("attempts"), _newest("events"), _newest("emails")


def count(attempt_id: int, event_id: int, email_id: int) -> None:
    """Count attempts, events and emails up to these ids that were not counted yet.

    Hand in what `last_ids` gave a moment ago: where several processes write, a number may be taken a little before its
    row can be seen.
    """
    while _count_attempts(attempt_id):
        pass
    while _count_events(event_id):
        pass
    while _count_emails(email_id):
        pass


def _count_attempts(up_to: int) -> bool:
    """Whether there may be more. An attempt ended its email when both bear the same time."""
    start, end = _next("attempts", up_to)
    if start >= end:
        return False
    new = rows(
        "SELECT a.outcome, e.state, e.finished_at - e.due_at, a.finished_at / 60000 FROM attempts a LEFT JOIN emails e"
        " ON e.id = a.email_id AND e.finished_at = a.finished_at WHERE a.id > ? AND a.id <= ?",
        start, end,
    )  # fmt: skip
    found = _histogram(
        "delivery", [took for _, state, took, _ in new if state == State.SENT], DELIVERY_BOUNDS
    )
    found.update(f"attempts/{outcome}" for outcome, _, _, _ in new)
    ended = [(minute, str(state)) for _, state, _, minute in new if state in _ENDED]
    found.update(f"ended/{state}" for _, state in ended)
    return _counted("attempts", start, end, found, Counter(ended))


def _count_events(up_to: int) -> bool:
    """Some end their email without an attempt of their own."""
    start, end = _next("events", up_to)
    if start >= end:
        return False
    found, minutes = Counter[str](), Counter[tuple[int, str]]()
    for kind, state, minute, number in rows(
        "SELECT v.type, e.state, v.at / 60000, count(*) FROM events v LEFT JOIN emails e ON e.id = v.email_id"
        " AND e.finished_at = v.at AND v.type IN ('expired', 'resolved', 'late_reply')"
        " WHERE v.id > ? AND v.id <= ? GROUP BY 1, 2, 3",
        start, end,
    ):  # fmt: skip
        found[f"events/{kind}"] += number
        if state in _ENDED:
            found[f"ended/{state}"] += number
            minutes[minute, str(state)] += number
        elif kind in SHOWN_EVENTS:
            minutes[minute, kind] += number
    return _counted("events", start, end, found, minutes)


def _count_emails(up_to: int) -> bool:
    """Only for the charts."""
    start, end = _next("emails", up_to)
    if start >= end:
        return False
    new = rows(
        "SELECT created_at / 60000, count(*) FROM emails WHERE id > ? AND id <= ? GROUP BY 1", start, end
    )
    minutes = Counter({(minute, "accepted"): number for minute, number in new})
    return _counted("emails", start, end, Counter(), minutes)


def _next(table: str, up_to: int) -> tuple[int, int]:
    found = row("SELECT value FROM totals WHERE name = ?", f"{table}_counted")
    start = int(found[0]) if found else 0
    return start, min(up_to, start + STEP)


def _counted(
    table: str, start: int, end: int, found: Counter[str], minutes: Counter[tuple[int, str]]
) -> bool:
    """Add what was found, unless another leader was faster."""

    def job() -> bool:
        if _next(table, end)[0] != start:
            return False
        _add(found + Counter({f"{table}_counted": end - start}))
        run_many(_ADD_MINUTE, sorted((minute, what, number) for (minute, what), number in minutes.items()))
        return True

    return write(job)


def _add(found: Counter[str]) -> None:
    """In the order of the names: two who add at once must not wait for each other crosswise."""
    run_many(_ADD, sorted(found.items()))


def _histogram(name: str, times: list[int], bounds: tuple[int, ...]) -> Counter[str]:
    """How many ended within each bound and above the one before, and the sum in ms."""
    names = [f"{name}/le/{bound}" for bound in (*bounds, "more")]
    found = Counter(names[bisect_left(bounds, took)] for took in times)
    found[f"{name}/sum"] += sum(max(0, took) for took in times)
    return found


def _newest(table: str) -> int:
    found = row(f"SELECT max(id) FROM {table}")
    return int(found[0] or 0) if found else 0
