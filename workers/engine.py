"""The workers of a process: those that deliver, one that keeps time for them, one that shows we live, and the poller
of mail accounts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from models.database import database
from services import tallies
from services.claim import Candidate
from services.relay import Relay
from services.smtp import Connection
from services.suppression_filter import filter_
from utils.clock import monotonic
from workers.connections import ConnectionPool, Open
from workers.crew import Crowd
from workers.hand import Hand
from workers.instance import Membership
from workers.jobs import Jobs
from workers.pace import Pace
from workers.poller import Poller
from workers.watchdog import Watchdog
from workers.worker import Worker

log = logging.getLogger("mailferry.engine")

GLANCE_SECONDS = 0.05  # how soon mail that another process accepted is noticed, and ours announced
TICK_SECONDS = 1.0
ABORT_SECONDS = 2.0  # for workers to record what they know once their connections are shut
END_SECONDS = 8.0  # from the deadline of a drain to its end: shutting connections, and giving everything back


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
        self.generation = 0  # counts up with whatever may let mail go
        self.workers = [Worker(self, number) for number in range(workers)]
        self._beat_seconds = lease_seconds / 6
        self._lease_seconds = lease_seconds
        self._open = open_connection
        self._gate = threading.Lock()
        self._draining = False
        self._news = False
        self._over = threading.Event()
        self._drained = threading.Event()
        self.on_lost: Callable[[], None] = lambda: None  # asked to replace this process

    def start(self) -> None:
        self._membership = Membership(self.relay.policy, self._lease_seconds)
        self._membership.bury_the_dead()
        self.pool = ConnectionPool(self.relay, self.instance_id, self._open)
        self._jobs = Jobs(self.relay, self.instance_id, self.wake_everyone)
        self._watchdog = Watchdog(self.hands, self.pool, self.relay.policy)
        self.poller = Poller(self.relay, self.instance_id)
        self.relay.wake = self.wake_everyone
        self.relay.alive = self.alive
        self.relay.delivering = lambda: any(worker.hands for worker in self.workers)
        for worker in self.workers:
            worker.start()
        self._timekeeper = threading.Thread(target=self._keep_time, name="timekeeper", daemon=True)
        self._heart = threading.Thread(target=self._keep_beating, name="heart", daemon=True)
        self._timekeeper.start()
        self._heart.start()
        self.poller.start()
        log.info("action=started instance=%s workers=%s", self.instance_id, len(self.workers))

    @property
    def instance_id(self) -> int:
        return self._membership.id

    def alive(self) -> bool:
        clocks = self._timekeeper.is_alive() and self._heart.is_alive() and self.poller.is_alive()
        return not self.stopping and clocks and all(one.is_alive() for one in self.workers)

    def hands(self) -> list[Hand]:
        """The deliveries that are under way."""
        return [hand for worker in self.workers for hand in worker.hands]

    # What workers ask for.

    def wake(self) -> None:
        """There may be something to do: let one idle worker look at once; the others will see it in passing."""
        with self._gate:
            self.generation += 1
        any(one.wake() for one in self.workers)

    def wake_everyone(self) -> None:
        """The same, in the other processes as well."""
        self._news = True
        self.wake()

    def crowd(self) -> Crowd:
        return Crowd(self.hands())

    def may_carry(self, candidate: Candidate, crowd: Crowd) -> bool:
        """Whether there is, or may be, a connection for its mail."""
        return self.pool.has_idle(candidate.id) or (candidate.may_connect and crowd.may_connect(candidate))

    def would_carry(self, candidate: Candidate, crowd: Crowd) -> bool:
        """Whether it could go at once if one of the deliveries ended."""
        return self.may_carry(candidate, crowd) or (crowd.is_full and candidate.may_connect)

    def pause(self, seconds: float) -> None:
        """Rest, unless we are stopping."""
        end = monotonic() + seconds
        while not self.stopping and monotonic() < end:
            threading.Event().wait(min(0.1, seconds))

    # Time.

    def _keep_time(self) -> None:
        watch = database.obj.watch()
        next_tick, next_burial = 0.0, monotonic() + self._beat_seconds
        while not self.stopping:
            try:
                if watch.changed(GLANCE_SECONDS):
                    self.wake()
                if self._news:
                    self._news = False
                    watch.announce()
                if monotonic() >= next_tick:
                    next_tick = monotonic() + TICK_SECONDS
                    self._tick()
                if monotonic() >= next_burial:
                    next_burial = monotonic() + self._beat_seconds
                    self._bury()
            except Exception:
                log.exception("action=timekeeper_trouble")
                self.pause(TICK_SECONDS)
        watch.close()
        database.close()

    def _tick(self) -> None:
        self.wake()  # a quota window or a breaker may have freed
        for part in (
            self._shut_when_silent,
            self.pool.sweep,
            self.pool.true_up,
            self._watchdog.look,
            self._jobs.tick,
            self.relay.mailboxes.sweep,
            self._flush,
            filter_.refresh,
        ):
            try:
                part()
            except Exception:  # the others must not wait for what ails this one
                log.exception("action=tick_trouble")

    def _flush(self) -> None:
        tallies.flush(self.relay.accept_ms)

    def _shut_when_silent(self) -> None:
        """Cut off from the database, or just woken: before others may open connections in the place of ours."""
        if self._membership.is_silent():
            log.warning("action=silent instance=%s", self.instance_id)
            self._shut_connections()
            self.pool.sweep(everything=True)

    def _shut_connections(self) -> None:
        for hand in self.hands():
            connection = hand.progress.connection
            if connection is not None:
                connection.abort()

    def _bury(self) -> None:
        self._watchdog.look_for_unheld(self.instance_id)
        if self._membership.bury_the_dead():
            self.wake_everyone()

    def _keep_beating(self) -> None:
        """In a thread of its own: whatever is slow elsewhere must not make us look dead. To the end of a drain."""
        while not self._over.wait(self._beat_seconds):
            try:
                if not self._membership.beat():
                    log.error("action=declared_dead instance=%s", self.instance_id)
                    self._lost()
                    break
            except Exception:
                log.exception("action=beat_trouble")
        database.close()

    def _lost(self) -> None:
        """Others took us for dead and ended our leases: a fresh process must take our place."""
        self._stop()
        self.on_lost()

    # The end.

    def drain(self, seconds: float) -> None:
        """Finish what is on the wire, give back the rest, and leave. Later calls wait for the first."""
        with self._gate:
            first, self._draining = not self._draining, True
        self._stop()
        if not first:
            self._drained.wait(seconds + END_SECONDS)
            return
        deadline = monotonic() + seconds
        try:
            self._jobs.stop()
            self.poller.stop()
            self._let_go(deadline)
            self._timekeeper.join(2.0)
            self._jobs.stop()  # a last tick may have started them
            self.pool.sweep(everything=True)
            self.relay.mailboxes.close()
            self._over.set()
            self._heart.join(2.0)
            self._membership.leave()
            self._flush()
            log.info("action=drained instance=%s", self.instance_id)
        finally:
            self._over.set()
            self._drained.set()

    def _stop(self) -> None:
        self.stopping = True
        for worker in self.workers:
            worker.wake()

    def _let_go(self, deadline: float) -> None:
        """Wait for the workers; at the deadline shut the connections of those that still wait for a server."""
        for worker in self.workers:
            worker.join(max(0.0, deadline - monotonic()))
        self._shut_connections()
        deadline = monotonic() + ABORT_SECONDS
        for worker in self.workers:
            worker.join(max(0.0, deadline - monotonic()))
