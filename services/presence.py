"""Which processes of the relay run at this moment."""

from __future__ import annotations

from pathlib import Path

from models.database import database
from models.service import Instance
from utils.filelock import is_locked


def lock_folder() -> Path:
    """Beside the database: whoever shares that must look at the same locks, whatever their DATA_DIR."""
    return Path(database.database).parent / "instances"


def daemon_lock(path: Path) -> Path:
    """The lock that a running daemon holds beside its database."""
    return path.with_name("daemon.lock")


def running() -> list[Instance]:
    """Those that deliver: each holds the lock on its file for as long as it lives."""
    return [one for one in Instance.select() if is_locked(lock_folder() / one.lock_name)]
