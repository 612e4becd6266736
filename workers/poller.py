"""The syncing half of a process: threads that make passes over accounts, and one that sees which are due.

A thread that waits for a server costs little, so there are many. What their number bounds is shared out: accounts whose
last pass failed have half of them, and so has any one tenant; nobody's slow servers keep others waiting.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from dataclasses import dataclass

from models.database import database
from services.imap import Client, ImapError
from services.relay import Relay
from services.sync import leases
from services.sync.leases import Candidate, Full
from services.sync.perform import Performance, begin_idle, watched
from utils.clock import monotonic, now_ms
from workers.idler import Idler

log = logging.getLogger("mailferry.sync")

MOST = 48  # passes at a time, of a process
TICK_SECONDS = 0.5
END_SECONDS = 5.0  # for the passes to end once they are told to


@dataclass(slots=True)
class _Work:
    candidate: Candidate
    thread: threading.Thread
    performance: Performance | None = None


class Poller:
    """Start once per process, after forking; `stop` ends it."""

    def __init__(self, relay: Relay, instance_id: int, most: int = MOST) -> None:
        self._relay = relay
        self._instance_id = instance_id
        self._most = most
        self._half = max(most // 2, 1)
        self._lock = threading.Lock()
        self._working: dict[str, _Work] = {}
        self._stopping = threading.Event()
        self.idler = Idler(lambda account_id: leases.wake(account_id, now_ms()))
        self._thread = threading.Thread(target=self._keep_time, name="poller", daemon=True)

    def start(self) -> None:
        self.idler.start()
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self, seconds: float = END_SECONDS) -> None:
        """What is committed stays; whatever waits for a server is cut off. Later calls do nothing."""
        self._stopping.set()
        deadline = monotonic() + seconds
        self.idler.stop()
        if self._thread.is_alive():
            self._thread.join(max(deadline - monotonic(), 0.1))
        with self._lock:
            working = list(self._working.values())
        for work in working:
            if work.performance is not None:
                work.performance.abort()
        for work in working:
            work.thread.join(max(deadline - monotonic(), 0.0))

    def _keep_time(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            try:
                self._tick()
            except Exception:
                log.exception("action=poller_trouble")
                self._stopping.wait(TICK_SECONDS * 4)
        database.close()

    def _tick(self) -> None:
        """Start as many as there is room for; who has used up his share is not even looked at."""
        with self._lock:
            working = [work.candidate for work in self._working.values()]
        while len(working) < self._most and not self._stopping.is_set():
            found = leases.due(now_ms(), self._most - len(working), self._full(working))
            before = len(working)
            for candidate in found:
                if self._may_start(candidate, working):
                    working.append(candidate)
                    self._start(candidate)
            if len(working) == before:
                return

    def _full(self, working: list[Candidate]) -> Full:
        tenants = Counter(one.tenant for one in working)
        return Full(
            [one.account_id for one in working],
            [tenant for tenant, count in tenants.items() if count >= self._half],
            sum(one.failures > 0 for one in working) >= self._half,
        )

    def _may_start(self, candidate: Candidate, working: list[Candidate]) -> bool:
        full = self._full(working)
        return candidate.tenant not in full.tenants and not (full.failing and candidate.failures)

    def _start(self, candidate: Candidate) -> None:
        thread = threading.Thread(
            target=self._work, args=(candidate,), name=f"sync-{candidate.account_id}", daemon=True
        )
        with self._lock:
            self._working[candidate.account_id] = _Work(candidate, thread)
        thread.start()

    def _work(self, candidate: Candidate) -> None:
        try:
            self._sync(candidate)
        except Exception:
            log.exception("action=sync_trouble account=%s", candidate.account_id)
        finally:
            database.close()
            with self._lock:
                self._working.pop(candidate.account_id, None)

    def _sync(self, candidate: Candidate) -> None:
        claim = leases.take(candidate.account_id, self._instance_id, now_ms())
        if claim is None:
            return
        kept = self.idler.take(candidate.account_id)
        performance = Performance(self._relay, claim, now_ms, kept, stopping=self._stopping.is_set())
        with self._lock:
            self._working[candidate.account_id].performance = performance
        client = performance.perform()
        if client is not None:
            self._keep(candidate.account_id, client)

    def _keep(self, account_id: str, client: Client) -> None:
        """To wait for news of the inbox, where the server can tell them."""
        try:
            inbox = watched(account_id)
            if self._stopping.is_set() or inbox is None:
                client.close()
            elif begin_idle(client, bytes(inbox.raw_name), inbox.uidnext_done):
                self.idler.keep(account_id, client)
            else:
                client.close()
                if client.has("IDLE"):  # mail came since the pass looked
                    leases.wake(account_id, now_ms())
        except ImapError:
            client.close()
