"""Who we are among the processes that deliver, and which of the others still live.

A process holds an flock on its own file: to be had means dead, at once and without doubt (process ids repeat). A
process that lives but is stopped or stuck keeps its lock, and that of one on another machine cannot be seen: they are
known by a beat that no longer moves. That is
judged by the observer's own monotonic clock, so neither a jump of the wall clock nor a suspended machine looks like
a death. An observer that could not beat itself judges nobody: a full disk or a long lock stops all of them alike.
"""

from __future__ import annotations

import logging
import os
import threading
import uuid

from models.database import database, run, write
from models.service import Instance
from services import recover
from services.presence import GUEST, folder_id, is_elsewhere, lock_folder
from services.relay import Policy
from utils.clock import MINUTE, monotonic, now_ms
from utils.filelock import FileLock, is_locked
from utils.machine import boot_id, host_name

log = logging.getLogger("mailferry.instance")


LONGEST_CONNECTION = 5 * MINUTE  # a server may wait so long for a silent client (RFC 5321, 4.5.3.2.7)


class Membership:
    """Our own instance, and the watch over the others."""

    def __init__(self, policy: Policy, lease_seconds: float, *, delivers: bool = True) -> None:
        self._policy = policy
        self._lease_seconds = lease_seconds
        self._folder = lock_folder(policy)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._folder_id = folder_id(policy)
        self._lock = FileLock(self._folder / f"{'' if delivers else GUEST}{uuid.uuid4().hex}.lock")
        self._lock.acquire()  # before the row exists, or others would find it dead
        self._watch = threading.Lock()  # one thread beats, another buries
        self._seen: dict[int, tuple[int, float]] = {}  # the beats of others, and when each was first seen
        self.id = write(self._register, durable=True)
        self._beaten = monotonic()

    def _register(self) -> int:
        row = Instance.create(
            boot_id=boot_id(),
            lock_name=self._lock.path.name,
            host=host_name(),
            pid=os.getpid(),
            started_at=now_ms(),
            folder_id=self._folder_id,
            beaten_at=now_ms(),
        )
        return int(row.id)

    def beat(self) -> bool:
        """Show that we live. False: others took us for dead and ended our leases."""
        database.obj.clock()
        changed: int = write(
            lambda: run(
                "UPDATE instances SET beat = beat + 1, beaten_at = ? WHERE id = ? AND ended_at IS NULL",
                now_ms(),
                self.id,
            )
        )
        with self._watch:
            self._forget_if_stalled()
            self._beaten = monotonic()
        return changed == 1

    def bury_the_dead(self) -> int:
        """Take back what dead instances held; how many emails became claimable or unknown."""
        freed = 0
        for other in Instance.select().where(Instance.id != self.id):
            # Of a shared database every commit is synchronous, so that a dot is known there after a power cut as well.
            rebooted = not database.shared and other.boot_id != boot_id()
            dead = rebooted or self._is_dead(other)
            if not dead and not self._beat_stands_still(other):
                continue
            returned, unknown = recover.take_back(
                self._policy, other.id, now_ms(), rebooted=rebooted, may_live=not dead
            )
            if not dead:
                log.warning("action=given_up instance=%s pid=%s host=%s", other.id, other.pid, other.host)
                freed += returned + unknown
                continue
            (self._folder / other.lock_name).unlink(missing_ok=True)  # if it was one of this folder
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
        try:
            recover.take_back(self._policy, self.id, now_ms(), rebooted=False)
            self._lock.path.unlink(missing_ok=True)
        finally:
            self._lock.release()

    def is_silent(self) -> bool:
        """We have not been able to beat for so long that the others are about to take us for dead."""
        return monotonic() - self._beaten > self._lease_seconds

    def _is_dead(self, other: Instance) -> bool:
        """Without doubt; or, of one whose lock cannot be seen, so long ago that no server would still wait for it."""
        if is_elsewhere(other, self._policy):
            return other.ended_at is not None and now_ms() - other.ended_at > LONGEST_CONNECTION
        return not is_locked(self._folder / other.lock_name)

    def _beat_stands_still(self, other: Instance) -> bool:
        if other.ended_at is not None:
            return False
        with self._watch:
            self._forget_if_stalled()
            now = monotonic()
            seen = self._seen.get(other.id)
            if seen is None or seen[0] != other.beat:
                self._seen[other.id] = (other.beat, now)
                return False
            return now - seen[1] > self._lease_seconds

    def _forget_if_stalled(self) -> None:
        """What kept us from beating may have kept the others, too: watch them afresh."""
        if monotonic() - self._beaten > self._lease_seconds / 2:
            self._seen.clear()
