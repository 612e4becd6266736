"""Which processes of the relay run at this moment."""

from __future__ import annotations

from pathlib import Path

from models.service import Instance
from utils.filelock import FileLock


def running(data_dir: Path) -> list[Instance]:
    """Those that deliver: each holds the lock on its file for as long as it lives."""
    return [one for one in Instance.select() if _is_held(data_dir / "instances" / one.lock_name)]


def _is_held(path: Path) -> bool:
    if not path.exists():
        return False
    lock = FileLock(path)
    if lock.try_acquire():
        lock.release()
        return False
    return True
