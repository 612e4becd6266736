"""What delivery learns about a config: breaker, concurrency window, pauses. All inside write jobs.

The breaker opens with a connection or handshake failure: for 2 s first, doubling with each further failure in a
row up to half an hour. When the time is over one email tries (half-open); its success closes the breaker. A
refused login waits minutes from the start, since providers lock accounts that keep trying.

The window is the number of connections a config has earned, as Postfix does per destination: it grows by 1/window
with each success while all of it is in use, and shrinks by 1 with each failure.
"""

from __future__ import annotations

import random

from models.database import row, run
from utils.clock import HOUR, MINUTE, SECOND

FIRST_STEP = 2 * SECOND
LAST_STEP = 30 * MINUTE
FIRST_LOGIN_STEP = 5 * MINUTE
LAST_LOGIN_STEP = 4 * HOUR
UNNAMED_PAUSE = 15 * MINUTE
INITIAL_WINDOW = 2.0


def succeeded(config_id: int, max_connections: int, now: int) -> None:
    """An email got through. Writes only when that changes something, for this runs once an email."""
    run(
        "UPDATE health SET failures = 0, open_until = NULL, open_reason = NULL, probe_instance = NULL, last_sent = ?,"
        " window = CASE WHEN window < ? AND"
        " (SELECT sum(connections) FROM slots WHERE smtp_config_id = ?) >= CAST(window AS INTEGER)"
        " THEN min(?, window + 1.0 / window) ELSE window END"
        " WHERE smtp_config_id = ? AND (failures > 0 OR open_until IS NOT NULL OR window < ?"
        " OR last_sent IS NULL OR last_sent < ?)",
        now, max_connections, config_id, max_connections, config_id, max_connections, now - SECOND,
    )  # fmt: skip


def failed(config_id: int, reason: str, now: int) -> None:
    """A connection or handshake failed: open the breaker, shrink the window."""
    _open(config_id, reason, now, FIRST_STEP, LAST_STEP)


def login_refused(config_id: int, reason: str, now: int) -> None:
    _open(config_id, f"login refused: {reason}", now, FIRST_LOGIN_STEP, LAST_LOGIN_STEP)


def _open(config_id: int, reason: str, now: int, first: int, last: int) -> None:
    found = row("SELECT failures, open_until FROM health WHERE smtp_config_id = ?", config_id)
    failures, open_until = found if found else (0, None)
    if open_until is not None and open_until > now:
        return  # several connections failed together: that is one failure
    step = min(last, first * 2 ** min(failures, 20))
    step += random.randrange(step // 10 + 1)  # so that configs of one dead host do not all try at once
    run(
        "UPDATE health SET failures = failures + 1, open_until = ?, open_reason = ?, probe_instance = NULL,"
        " window = max(1.0, window - 1.0), last_error = ?, last_error_at = ? WHERE smtp_config_id = ?",
        now + step, reason[:500], reason[:500], now, config_id,
    )  # fmt: skip


def pause(config_id: int, seconds: int | None, reason: str, now: int) -> None:
    """The provider's own words say that nothing more goes for a while."""
    until = now + (UNNAMED_PAUSE if seconds is None else seconds * SECOND)
    run(
        "UPDATE health SET pause_until = max(coalesce(pause_until, 0), ?), pause_reason = ?,"
        " probe_instance = NULL, last_error = ?, last_error_at = ? WHERE smtp_config_id = ?",
        until, reason[:500], reason[:500], now, config_id,
    )  # fmt: skip


def begin_probe(config_id: int, instance_id: int) -> None:
    run("UPDATE health SET probe_instance = ? WHERE smtp_config_id = ?", instance_id, config_id)


def end_probe(config_id: int, instance_id: int) -> None:
    """The probe told nothing about the config, such as a batch given back: let another try."""
    run(
        "UPDATE health SET probe_instance = NULL WHERE smtp_config_id = ? AND probe_instance = ?",
        config_id, instance_id,
    )  # fmt: skip


def reset(config_id: int) -> None:
    """Forget failures and pauses: a person changed or resumed the config."""
    run(
        "UPDATE health SET paused = 0, pause_until = NULL, pause_reason = NULL, failures = 0, open_until = NULL,"
        " open_reason = NULL, probe_instance = NULL, window = ? WHERE smtp_config_id = ?",
        INITIAL_WINDOW, config_id,
    )  # fmt: skip


def release_slot(config_id: int, instance_id: int) -> None:
    """A connection was closed."""
    run(
        "UPDATE slots SET connections = max(0, connections - 1) WHERE smtp_config_id = ? AND instance_id = ?",
        config_id, instance_id,
    )  # fmt: skip


def take_slot(config_id: int, instance_id: int) -> None:
    """A connection is about to be opened."""
    run(
        "INSERT INTO slots (smtp_config_id, instance_id, connections) VALUES (?, ?, 1)"
        " ON CONFLICT (smtp_config_id, instance_id) DO UPDATE SET connections = connections + 1",
        config_id, instance_id,
    )  # fmt: skip
