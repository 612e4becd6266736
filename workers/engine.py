"""The delivering half of a process: worker threads, and the one thread that keeps time for them."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable

from models.database import database, row
from services.relay import Relay
from services.smtp import Connection
from utils.clock import monotonic
from workers.connections import ConnectionPool, Open
from workers.instance import Membership
from workers.jobs import Jobs
from workers.pace import Pace
from workers.watchdog import Watchdog
from workers.worker import Worker

log = logging.getLogger("mailferry.engine")

GLANCE_SECONDS = 0.05  # how soon mail that another process accepted is noticed
TICK_SECONDS = 1.0
STAND_INS = 3  # for each worker, at most


class Engine:
    """Start once per process, after forking; `drain` ends it."""

    def __init__(
        self,
        relay: Relay,
        *,
        workers: int,
        lease_seconds: float = 60.0,
        open_connection: Open = Connection.open,
    ) -> None:
        self.relay = relay
        self.pace = Pace()
        self.stopping = False
        self.generation = 0
        self._count = workers
        self._lease_seconds = lease_seconds
        self._open = open_connection
        self._condition = threading.Condition()
        self._workers: list[Worker] = []
        self._numbers = itertools.count()
        self._draining = False
        self._drained = threading.Event()
        self.on_lost: Callable[[], None] = lambda: None  # asked to replace this process

    def start(self) -> None:
        self._membership = Membership(self.relay.policy, self._lease_seconds)
        self._membership.bury_the_dead()
        self.pool = ConnectionPool(self.relay, self.instance_id, self._open)
        self._jobs = Jobs(self.relay, self.instance_id, self.wake)
        self.relay.wake = self.wake
        self.relay.alive = self.alive
        self._staff()
        self._watchdog = Watchdog(self)
        self._timekeeper = threading.Thread(target=self._keep_time, name="timekeeper", daemon=True)
        self._timekeeper.start()
        log.info("action=started instance=%s workers=%s", self.instance_id, self._count)

    @property
    def instance_id(self) -> int:
        return self._membership.id

    @property
    def workers(self) -> list[Worker]:
        return self._workers

    def alive(self) -> bool:
        return (
            not self.stopping and self._timekeeper.is_alive() and any(one.is_alive() for one in self._workers)
        )

    # What workers ask for.

    def wake(self) -> None:
        """There may be something to do: let one idle worker look at once."""
        with self._condition:
            self.generation += 1
            self._condition.notify()

    def wait(self, generation: int, seconds: float) -> None:
        """Until woken, or at once when a wake-up came since `generation` was read."""
        with self._condition:
            if self.generation == generation and not self.stopping:
                self._condition.wait(seconds)

    def pause(self, seconds: float) -> None:
        """Rest, unless we are stopping."""
        end = monotonic() + seconds
        while not self.stopping and monotonic() < end:
            threading.Event().wait(min(0.1, seconds))

    def retire(self, worker: Worker) -> bool:
        """Whether this worker may go home: those that stood in for others are no longer needed."""
        with self._condition:
            at_hand = [one for one in self._workers if not one.is_kept_waiting()]
            if worker not in self._workers or (len(at_hand) > self._count and worker in at_hand):
                self._workers = [one for one in self._workers if one is not worker]
                return True
            return False

    def abandon(self, worker: Worker) -> None:
        """A worker hangs where nothing can free it: leave it behind."""
        with self._condition:
            self._workers.remove(worker)

    def _staff(self) -> None:
        """Keep `workers` threads at hand. Those that a slow server keeps waiting are stood in for, up to a bound:
        one bad account must not hold up the mail of the others."""
        with self._condition:
            self._workers = [one for one in self._workers if one.is_alive()]
            waiting = sum(one.is_kept_waiting() for one in self._workers)
            wanted = self._count + min(waiting, self._count * STAND_INS)
            hired = [Worker(self, next(self._numbers)) for _ in range(wanted - len(self._workers))]
            self._workers += hired
        for worker in hired:
            worker.start()

    # Time.

    def _keep_time(self) -> None:
        version, next_tick, next_beat = 0, 0.0, 0.0
        while not self.stopping:
            try:
                found = row("PRAGMA data_version")
                if found and found[0] != version:
                    version = found[0]
                    self.wake()
                if monotonic() >= next_tick:
                    next_tick = monotonic() + TICK_SECONDS
                    self._tick()
                if monotonic() >= next_beat:
                    next_beat = monotonic() + self._lease_seconds / 6
                    self._beat()
            except Exception:
                log.exception("action=timekeeper_trouble")
                self.pause(TICK_SECONDS)
            threading.Event().wait(GLANCE_SECONDS)
        database.close()

    def _tick(self) -> None:
        self.wake()  # a quota window or a breaker may have freed
        self.pool.sweep()
        self._watchdog.look()
        self._staff()
        self._jobs.lead_if_vacant()

    def _beat(self) -> None:
        if not self._membership.beat():
            log.error("action=declared_dead instance=%s", self.instance_id)
            self._lost()
            return
        if self._membership.bury_the_dead():
            self.wake()

    def _lost(self) -> None:
        """Others took us for dead and ended our leases: a fresh process must take our place."""
        self.stopping = True
        self.on_lost()

    # The end.

    def drain(self, seconds: float) -> None:
        """Finish what is on the wire, give back the rest, and leave. Later calls wait for the first."""
        with self._condition:
            first, self._draining, self.stopping = not self._draining, True, True
            self._condition.notify_all()
        if not first:
            self._drained.wait(seconds)
            return
        self._jobs.stop()
        deadline = monotonic() + seconds
        for worker in self._workers:
            worker.join(max(0.0, deadline - monotonic()))
        for worker in [one for one in self._workers if one.is_alive()]:
            if worker.progress.connection is not None:
                worker.progress.connection.abort()
            worker.join(1.0)
        self._timekeeper.join(2.0)
        self.pool.sweep(everything=True)
        self._membership.leave()
        log.info("action=drained instance=%s", self.instance_id)
        self._drained.set()
