"""A process that is no daemon, and yet holds leases for a while: the command line that syncs an account itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from models.database import database
from services.relay import Relay
from services.sync import leases
from services.sync.perform import Performance
from utils.clock import now_ms
from workers.instance import Membership


class Guest:
    """One pass at a time, in a thread of its own."""

    def __init__(self, relay: Relay, instance_id: int) -> None:
        self._relay, self._instance_id = relay, instance_id
        self._performance: Performance | None = None
        self._over = threading.Event()  # a join() that Ctrl-C interrupts takes the thread for ended

    def begin(self, account_id: str) -> bool:
        """False: somebody else is at it, or nothing is to be done."""
        claim = leases.take(account_id, self._instance_id, now_ms())
        if claim is None:
            return False
        self._over.clear()
        self._performance = Performance(self._relay, claim, now_ms)
        threading.Thread(target=self._work, args=(self._performance,), name="sync", daemon=True).start()
        return True

    def goes_on(self, seconds: float) -> bool:
        """Waits so long for its end."""
        return self._performance is not None and not self._over.wait(seconds)

    def end(self, seconds: float) -> None:
        """Of one that is called off: between two steps, else whatever waits for the server is cut off."""
        if self._performance is not None and self.goes_on(seconds):
            self._performance.abort()
            self.goes_on(seconds)

    def _work(self, performance: Performance) -> None:
        try:
            client = performance.perform()
            if client is not None:
                client.close()
            database.close()
        finally:
            self._over.set()


@contextmanager
def guest(relay: Relay, lease_seconds: float) -> Iterator[Guest]:
    """It shows that it lives until the end of the block. What dead ones held is free then."""
    membership = Membership(relay.policy, lease_seconds, delivers=False)
    over = threading.Event()

    def beat() -> None:
        while not over.wait(lease_seconds / 6):
            membership.beat()
        database.close()

    heart = threading.Thread(target=beat, name="heart", daemon=True)
    heart.start()
    try:
        membership.bury_the_dead()
        yield Guest(relay, membership.id)
    finally:
        over.set()
        heart.join()
        membership.leave()
