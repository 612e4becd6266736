"""What all processes are told, over restarts too: above all the pause of the whole relay, while accepting goes on."""

from __future__ import annotations

from models.database import row, run, write

PAUSED = "paused"
BACKED_UP = "backed_up"
RELAY_PAUSED = (
    f"EXISTS (SELECT 1 FROM switches WHERE name = '{PAUSED}' AND value = 'on')"  # for other statements
)


def pause_relay(now: int) -> None:
    write(lambda: _set(PAUSED, "on", now), durable=True)


def resume_relay(now: int) -> None:
    write(lambda: _set(PAUSED, "off", now), durable=True)


def relay_paused() -> bool:
    found = row("SELECT value FROM switches WHERE name = ?", PAUSED)
    return found is not None and found[0] == "on"


def note_backup(now: int) -> None:
    """For whoever watches how old the last backup is."""
    write(lambda: _set(BACKED_UP, str(now), now))


def last_backup() -> int:
    """When the last one was taken (ms); 0: never."""
    found = row("SELECT value FROM switches WHERE name = ?", BACKED_UP)
    return int(found[0]) if found else 0


def _set(name: str, value: str, now: int) -> None:
    """`changed_at` tells since when: switching on what is on changes nothing."""
    run(
        "INSERT INTO switches (name, value, changed_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
        " SET value = excluded.value, changed_at = excluded.changed_at WHERE switches.value != excluded.value",
        name, value, now,
    )  # fmt: skip
