"""What delivery learns about a config: breaker, concurrency window, pauses. All inside write jobs.

The breaker opens with a connection or handshake failure: for 2 s first, doubling with each further failure in a
row up to half an hour. When the time is over one email tries (half-open); its success closes the breaker. A
refused login waits minutes from the start, since providers lock accounts that keep trying.

A row of failures ends with a success on a connection that was opened after them. Success on an older one says
nothing about whether new sessions are welcome; so a provider that refuses them is asked ever less often.

The window is the number of connections a config has earned, as Postfix does per destination: it grows by 1/window
with each success while all of it is in use, and shrinks by 1 with each failure. Where a new connection is refused
while others work, the account is not ill but crowded: the window shrinks, and waits before it grows again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from models.database import FOR_UPDATE, row, run
from utils.clock import HOUR, MINUTE, SECOND

FIRST_STEP = 2 * SECOND
LAST_STEP = 30 * MINUTE
FIRST_LOGIN_STEP = 5 * MINUTE
LAST_LOGIN_STEP = 4 * HOUR
UNNAMED_PAUSE = 15 * MINUTE
LONGEST_PAUSE = 48 * HOUR
INITIAL_WINDOW = 2.0
_SHRINK = '"window" = CASE WHEN "window" > 2.0 THEN "window" - 1.0 ELSE 1.0 END'
WORKING = MINUTE  # a config that sent mail so recently works, whatever a new connection says


@dataclass(frozen=True, slots=True)
class Tried:
    """What a claim was to its config. `opened_at`: when its connection was opened; None for a kept one."""

    config_id: int
    max_connections: int
    instance_id: int
    probe: bool
    opened_at: int | None


def succeeded(tried: Tried, now: int, times: int = 1) -> None:
    """Emails got through. Locks and writes only when that changes something, for this runs with every email."""
    facts = (
        'SELECT failures, open_until, "window", grow_at, last_sent, last_error_at FROM health'
        " WHERE smtp_config_id = ?"
    )
    found = row(facts, tried.config_id)
    if found is None or _learnt(tried, found, now, times) is None:
        return
    found = row(f"{facts} {FOR_UPDATE}", tried.config_id)
    learnt = _learnt(tried, found, now, times) if found else None
    if learnt is not None:
        run(
            "UPDATE health SET failures = ?, open_until = ?, open_reason = CASE WHEN ? IS NULL THEN NULL"
            ' ELSE open_reason END, "window" = ?, last_sent = ? WHERE smtp_config_id = ?',
            learnt[0], learnt[1], learnt[1], learnt[2], now, tried.config_id,
        )  # fmt: skip
    end_probe(tried)


def _learnt(tried: Tried, found: tuple[Any, ...], now: int, times: int) -> tuple[Any, ...] | None:
    """(failures, open_until, window) after a success; None when there is nothing to write."""
    failures, open_until, window, grow_at, last_sent, last_error_at = found
    if tried.opened_at is not None and tried.opened_at >= (last_error_at or 0):
        failures = 0
    if tried.probe:
        open_until = None
    if window < tried.max_connections and (grow_at or 0) <= now and _all_in_use(tried.config_id, window):
        window = min(tried.max_connections, window + times / window)
    unchanged = (failures, open_until, window) == (found[0], found[1], found[2])
    if unchanged and not tried.probe and last_sent is not None and 0 <= now - last_sent < SECOND:
        return None
    return failures, open_until, window


def failed(tried: Tried, reason: str, now: int, *, opening: bool) -> None:
    """A connection failed, in its `opening` or later: open the breaker, unless this was one too many."""
    end_probe(tried)
    if opening and not tried.probe and _others_work(tried, now):
        _crowd(tried.config_id, reason, now)
    else:
        _open(tried.config_id, reason, now, FIRST_STEP, LAST_STEP)


def crowded(tried: Tried, reason: str, now: int) -> bool:
    """The provider says that there are too many connections; False when it can only mean others' connections."""
    if _connections(tried.config_id) <= 1:
        return False
    end_probe(tried)
    _crowd(tried.config_id, reason, now)
    return True


def login_refused(tried: Tried, reason: str, now: int) -> None:
    end_probe(tried)
    _open(tried.config_id, f"login refused: {reason}", now, FIRST_LOGIN_STEP, LAST_LOGIN_STEP)


def hung(config_id: int, reason: str, now: int) -> None:
    """A delivery had to be given up by the watchdog."""
    _open(config_id, reason, now, FIRST_STEP, LAST_STEP)


def _open(config_id: int, reason: str, now: int, first: int, last: int) -> None:
    found = row(f"SELECT failures, open_until FROM health WHERE smtp_config_id = ? {FOR_UPDATE}", config_id)
    failures, open_until = found if found else (0, None)
    if open_until is not None and now < open_until <= now + 2 * last:
        return  # several connections failed together: that is one failure
    step = _step(failures, first, last)
    run(
        f"UPDATE health SET failures = failures + 1, open_until = ?, open_reason = ?, {_SHRINK},"
        " last_error = ?, last_error_at = ? WHERE smtp_config_id = ?",
        now + step, reason[:500], reason[:500], now, config_id,
    )  # fmt: skip


def _crowd(config_id: int, reason: str, now: int) -> None:
    found = row(f"SELECT failures, grow_at FROM health WHERE smtp_config_id = ? {FOR_UPDATE}", config_id)
    failures, grow_at = found if found else (0, None)
    if grow_at is not None and now < grow_at <= now + 2 * LAST_STEP:
        return
    run(
        f"UPDATE health SET failures = failures + 1, grow_at = ?, {_SHRINK},"
        " last_error = ?, last_error_at = ? WHERE smtp_config_id = ?",
        now + _step(failures, MINUTE, LAST_STEP), reason[:500], now, config_id,
    )  # fmt: skip


def _step(failures: int, first: int, last: int) -> int:
    """Doubling, with jitter so that configs of one dead host do not all try at once."""
    step: int = min(last, first * 2 ** min(failures, 20))
    return step + random.randrange(step // 10 + 1)


def _all_in_use(config_id: int, window: float) -> bool:
    return _connections(config_id) >= int(window)


def _others_work(tried: Tried, now: int) -> bool:
    found = row("SELECT last_sent FROM health WHERE smtp_config_id = ?", tried.config_id)
    recent = found is not None and found[0] is not None and 0 <= now - found[0] < WORKING
    return recent and _connections(tried.config_id) > 1  # the one that failed still has its slot


def _connections(config_id: int) -> int:
    found = row("SELECT sum(connections) FROM slots WHERE smtp_config_id = ?", config_id)
    return int(found[0] or 0) if found else 0


def pause(config_id: int, seconds: int | None, reason: str, now: int) -> None:
    """The provider's own words say that nothing more goes for a while."""
    length = UNNAMED_PAUSE if seconds is None else min(seconds * SECOND, LONGEST_PAUSE)
    run(
        "UPDATE health SET pause_until = CASE WHEN pause_until > ? THEN pause_until ELSE ? END, pause_reason = ?,"
        " last_error = ?, last_error_at = ? WHERE smtp_config_id = ?",
        now + length, now + length, reason[:500], reason[:500], now, config_id,
    )  # fmt: skip


def begin_probe(config_id: int, instance_id: int) -> None:
    run("UPDATE health SET probe_instance = ? WHERE smtp_config_id = ?", instance_id, config_id)


def end_probe(tried: Tried) -> None:
    """The one try of a half-open breaker is over, whatever came of it: another may try."""
    if tried.probe:
        run(
            "UPDATE health SET probe_instance = NULL WHERE smtp_config_id = ? AND probe_instance = ?",
            tried.config_id, tried.instance_id,
        )  # fmt: skip


def end_any_probe(config_id: int) -> None:
    """Mail of the config was given back, its probe maybe: a second one at worst, in place of none."""
    run("UPDATE health SET probe_instance = NULL WHERE smtp_config_id = ?", config_id)


def reset(config_id: int) -> None:
    """Forget failures and pauses: a person changed or resumed the config."""
    run(
        "UPDATE health SET paused = FALSE, pause_until = NULL, pause_reason = NULL, failures = 0, open_until = NULL,"
        ' open_reason = NULL, probe_instance = NULL, grow_at = NULL, "window" = ? WHERE smtp_config_id = ?',
        INITIAL_WINDOW, config_id,
    )  # fmt: skip


def release_slot(config_id: int, instance_id: int) -> None:
    """A connection was closed."""
    run(
        "UPDATE slots SET connections = CASE WHEN connections > 0 THEN connections - 1 ELSE 0 END"
        " WHERE smtp_config_id = ? AND instance_id = ?",
        config_id, instance_id,
    )  # fmt: skip


def take_slot(config_id: int, instance_id: int) -> None:
    """A connection is about to be opened."""
    run(
        "INSERT INTO slots (smtp_config_id, instance_id, connections) VALUES (?, ?, 1)"
        " ON CONFLICT (smtp_config_id, instance_id) DO UPDATE SET connections = slots.connections + 1",
        config_id, instance_id,
    )  # fmt: skip
