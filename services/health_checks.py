"""Whether the relay can accept and deliver, each part by itself."""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakKeyDictionary

from models import trouble
from models.database import database, row, run, write
from services import outage
from services.relay import Relay
from utils.clock import SECOND
from utils.machine import free_bytes

log = logging.getLogger(__name__)

Check = dict[str, Any]
PROBE_AGE = SECOND  # anyone may ask, so one write a second at most
_probed: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
_damaged: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def note(error: BaseException) -> None:
    """Whoever meets a damaged database says so here, for people look at readiness before they look at a log."""
    if not database.shared and trouble.is_damage(error) and database.obj not in _damaged:
        _damaged[database.obj] = True
        log.critical("action=damaged error=%s", trouble.told(error, database.obj.describe()))


def ready(relay: Relay, now: int) -> tuple[bool, dict[str, Check]]:
    """(all good, check → {ok, detail})."""
    checks = {"database": _database(now), "disk": _disk(relay), "workers": _workers(relay)}
    if checks["database"]["ok"]:
        checks["smtp_configs"] = _configs()
    return all(one["ok"] for one in checks.values()), checks


def _database(now: int) -> Check:
    """A real write, since a full or read-only disk still answers reads."""
    try:
        if abs(now - _probed.get(database.obj, 0)) >= PROBE_AGE:
            write(
                lambda: run(
                    "INSERT INTO switches (name, value, changed_at) VALUES ('write_probe', '', ?)"
                    " ON CONFLICT (name) DO UPDATE SET changed_at = excluded.changed_at",
                    now,
                )
            )
            _probed[database.obj] = now
    except trouble.STORAGE_ERRORS as exc:
        log.error("action=not_ready check=database error=%s", " ".join(str(exc).split()))
        note(exc)
        if isinstance(exc, Exception) and outage.told(exc):
            return {"ok": False, "detail": "cannot be reached"}
        if database.shared or not trouble.is_damage(exc):
            return {"ok": False, "detail": "cannot be written"}
    if database.obj in _damaged:
        return {"ok": False, "detail": "is damaged: see the log, and what `python app.py doctor` says"}
    return {"ok": True, "detail": "can be written"}


def _disk(relay: Relay) -> Check:
    try:
        free = free_bytes(database.folder or relay.policy.data_dir)
    except OSError as exc:
        log.error("action=not_ready check=disk error=%s", exc)
        return {"ok": False, "detail": "cannot be read"}
    detail = f"{free // 2**20} MB free, {relay.policy.min_free_bytes // 2**20} MB needed"
    return {"ok": free >= relay.policy.min_free_bytes, "detail": detail}


def _workers(relay: Relay) -> Check:
    alive = relay.alive()
    return {"ok": alive, "detail": "deliver" if alive else "do not deliver"}


def _configs() -> Check:
    found = row("SELECT count(*) FROM smtp_configs WHERE active")
    active = int(found[0]) if found else 0
    return {"ok": active > 0, "detail": f"{active} active"}


def damaged() -> bool:
    """Whether this process has met damage in the database."""
    return database.obj in _damaged
