"""Bring the tables up to date at start, one process at a time, with a copy of the file taken before."""

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


def migrate(path: Path) -> list[str]:
    """Apply what is pending and return its names. Other processes wait meanwhile."""
    with FileLock(path.with_name(path.name + ".migrate-lock")):
        runner = Runner(database.obj, str(FOLDER), table_name="schema_migrations")
        pending = [one.name for one in runner.status() if one.path and not one.applied]
        if pending and runner.applied():
            _back_up(path, pending[0])
        applied: list[str] = runner.up() if pending else []
        os.chmod(path, 0o600)
    for name in applied:
        log.info("action=migrated name=%s", name)
    return applied


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
