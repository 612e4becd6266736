"""What ails the disk or the database file, told for people; and a look at the file before it is used."""

from __future__ import annotations

import errno
from pathlib import Path

from peewee import PeeweeException
from pysqlite3 import dbapi2 as sqlite

from utils.clock import monotonic

STORAGE_ERRORS = (PeeweeException, sqlite.Error, OSError)

_STEPS = 10_000  # of SQLite's machine between two looks at the clock


def is_damage(error: BaseException) -> bool:
    return any(sign in str(error) for sign in ("malformed", "not a database", "database corruption"))


def is_full(error: BaseException) -> bool:
    return "disk is full" in str(error) or (isinstance(error, OSError) and error.errno == errno.ENOSPC)


def told(error: BaseException, path: Path | str) -> str:
    """One line that names the file, what is wrong with it, and what to do. Of a server (a URL): what ails it."""
    if "://" in str(path):
        return f"DATABASE_URL: {' '.join(str(error).split())}"
    if is_full(error):
        return f"{path}: the disk is full: make room, then start again"
    detail = " ".join(str(error).split())
    if is_damage(error):
        return f"{path} is damaged ({detail}): see what `python app.py doctor` says, and restore a backup"
    return f"{path} cannot be written ({detail}): see what `python app.py doctor` says"


def look_for_damage(path: Path, seconds: float) -> None:
    """DatabaseError when the file's structure is broken, as far as it can be read in that time."""
    if not path.exists():
        return
    deadline = monotonic() + seconds
    connection = sqlite.connect(str(path))
    try:
        connection.set_progress_handler(lambda: monotonic() > deadline, _STEPS)
        try:
            found = [str(one[0]) for one in connection.execute("PRAGMA quick_check(3)")]
        except sqlite.OperationalError as exc:
            if "interrupted" in str(exc):
                return
            raise
        if found != ["ok"]:
            raise sqlite.DatabaseError(f"database disk image is malformed: {'; '.join(found)}")
    finally:
        connection.close()
