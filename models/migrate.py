"""Bring the tables up to date at start, one process at a time; of SQLite's file, a copy is taken before."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from playhouse.migrations import Runner
from pysqlite3 import dbapi2 as sqlite

from models.database import database
from utils.filelock import FileLock

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 6_477_321  # any number, the same in all versions


def migrate() -> list[str]:
    """Apply to the bound database what is pending and return its names. Other processes wait meanwhile."""
    applied = _in_turn_on_postgres() if database.shared else _in_turn_on_sqlite(Path(database.database))
    for name in applied:
        log.info("action=migrated name=%s", name)
    return applied


def pending() -> list[str]:
    """Names of the migrations that wait."""
    return [one.name for one in _runner().status() if one.path and not one.applied]


def _in_turn_on_sqlite(path: Path) -> list[str]:
    with FileLock(path.with_name(path.name + ".migrate-lock")):
        waiting = pending()
        if waiting and _runner().applied():
            _back_up(path, waiting[0])
        applied = _apply(waiting)
        os.chmod(path, 0o600)
    return applied


def _in_turn_on_postgres() -> list[str]:
    """The lock is the session's: it ends with the connection, however that ends."""
    database.execute_sql("SELECT pg_advisory_lock(%s)", (_ADVISORY_LOCK,))
    try:
        return _apply(pending())
    finally:
        database.execute_sql("SELECT pg_advisory_unlock(%s)", (_ADVISORY_LOCK,))


def _apply(waiting: list[str]) -> list[str]:
    return list(_runner().up()) if waiting else []


def _runner() -> Runner:
    return Runner(database.obj, str(FOLDER), table_name="schema_migrations")


def _back_up(path: Path, before: str) -> None:
    copy = path.with_name(f"{path.name}.before-{before}")
    source, target = sqlite.connect(str(path)), sqlite.connect(str(copy))
    try:
        with target:
            source.backup(target)
    finally:
        target.close()
        source.close()
    os.chmod(copy, 0o600)
    log.info("action=backed_up file=%s", copy)
