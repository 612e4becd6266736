"""Which processes of the relay run at this moment."""

from __future__ import annotations

import uuid
from pathlib import Path

from models.database import database
from models.service import Instance
from services.relay import Policy
from utils.clock import MINUTE
from utils.filelock import FileLock, is_locked
from utils.machine import boot_id

GUEST = "guest-"  # how the lock's name begins of a process that does not deliver
SILENCE = MINUTE  # after which a process on another machine is no longer shown as running


def lock_folder(policy: Policy) -> Path:
    """Beside SQLite's file: whoever shares that must look at the same locks, whatever their DATA_DIR."""
    return Path(database.folder or policy.data_dir) / "instances"


def daemon_lock(path: Path) -> Path:
    """The lock that a running daemon holds beside its database."""
    return path.with_name("daemon.lock")


def folder_id(policy: Policy) -> str:
    """A mark beside the locks, by which an instance can tell whether another's lock is in the same folder."""
    mark = lock_folder(policy).with_name("folder-id")
    with FileLock(mark.with_name("folder-id.lock")):
        if not mark.exists():
            mark.write_text(uuid.uuid4().hex)
        return mark.read_text()


def is_elsewhere(other: Instance, policy: Policy) -> bool:
    """Whether its lock cannot be seen from here: on another machine, or in another folder."""
    return database.shared and (other.boot_id, other.folder_id) != (boot_id(), folder_id(policy))


def running(policy: Policy, now: int) -> list[Instance]:
    """Those that deliver: each holds the lock on its file for as long as it lives."""
    folder = lock_folder(policy)
    return [
        one
        for one in Instance.select().where(Instance.ended_at.is_null()).order_by(Instance.id)
        if not one.lock_name.startswith(GUEST)
        and (
            now - (one.beaten_at or 0) < SILENCE
            if is_elsewhere(one, policy)
            else is_locked(folder / one.lock_name)
        )
    ]
