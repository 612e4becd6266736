"""Who we are among the processes that deliver, and which of the others still live.

A process holds an flock on its own file: to be had means dead, at once and without doubt (process ids repeat). A
process that lives but is stopped or stuck keeps its lock; it is known by a beat that no longer moves. That is
judged by the observer's own monotonic clock, so neither a jump of the wall clock nor a suspended machine looks like
a death.
"""

from __future__ import annotations

import logging
import os
import uuid
from pathlib import Path

from models.database import run, write
from models.service import Instance
from services import recover
from services.relay import Policy
from utils.clock import monotonic, now_ms
from utils.filelock import FileLock
from utils.machine import boot_id, host_name

log = logging.getLogger("mailferry.instance")


class Membership:
    """Our own instance, and the watch over the others."""

    def __init__(self, policy: Policy, lease_seconds: float) -> None:
        self._policy = policy
        self._lease_seconds = lease_seconds
        self._folder = policy.data_dir / "instances"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._lock = FileLock(self._folder / f"{uuid.uuid4().hex}.lock")
        self._lock.acquire()  # before the row exists, or others would find it dead
        self._beats: dict[int, tuple[int, float]] = {}
        self.id = write(self._register, durable=True)

    def _register(self) -> int:
        row = Instance.create(
            boot_id=boot_id(),
            lock_name=self._lock.path.name,
            host=host_name(),
            pid=os.getpid(),
            started_at=now_ms(),
        )
        return int(row.id)

    def beat(self) -> bool:
        """Show that we live. False: others took us for dead and ended our leases."""
        changed: int = write(lambda: run("UPDATE instances SET beat = beat + 1 WHERE id = ?", self.id))
        return changed == 1

    def bury_the_dead(self) -> int:
        """Take back what dead instances held; how many emails became claimable or unknown."""
        freed = 0
        for other in Instance.select().where(Instance.id != self.id):
            rebooted = other.boot_id != boot_id()
            if not (rebooted or self._is_dead(other)):
                continue
            returned, unknown = recover.take_back(self._policy, other.id, now_ms(), rebooted=rebooted)
            (self._folder / other.lock_name).unlink(missing_ok=True)
            log.warning(
                "action=recovered instance=%s pid=%s returned=%s unknown=%s",
                other.id,
                other.pid,
                returned,
                unknown,
            )
            freed += returned + unknown
        return freed

    def leave(self) -> None:
        """End cleanly. Whatever is still claimed is taken back as of a dead process."""
        recover.take_back(self._policy, self.id, now_ms(), rebooted=False)
        self._lock.path.unlink(missing_ok=True)
        self._lock.release()

    def _is_dead(self, other: Instance) -> bool:
        return self._lock_is_free(self._folder / other.lock_name) or self._beat_stands_still(other)

    @staticmethod
    def _lock_is_free(path: Path) -> bool:
        lock = FileLock(path)
        free = lock.try_acquire()
        if free:
            lock.release()
        return free

    def _beat_stands_still(self, other: Instance) -> bool:
        seen = self._beats.get(other.id)
        if seen is None or seen[0] != other.beat:
            self._beats[other.id] = (other.beat, monotonic())
            return False
        return monotonic() - seen[1] > self._lease_seconds
