"""Sees to it that sent mail gets into the Sent folders of its accounts. Every process does; leases keep them apart.

Each account has a thread while it is worked with, so one slow server delays nobody else's mail. Such a thread may be
left behind at the end: what it has begun is found again by the next try.
"""

from __future__ import annotations

import logging
import threading

from models.database import database
from services.composing import copies
from services.composing.appending import append_for
from services.relay import Relay
from utils.clock import MINUTE, SECOND, monotonic, now_ms

log = logging.getLogger("mailferry.copies")

TICK = 2 * SECOND
TIDY_EVERY = MINUTE
MOST = 16  # accounts at once


class SentCopies:
    """Start it once per process; `stop` ends it."""

    def __init__(self, relay: Relay, instance_id: int | None = None, tick: int = TICK) -> None:
        self._relay = relay
        self._instance_id = instance_id
        self._tick = tick
        self._gate = threading.Lock()
        self._busy: dict[str, threading.Thread] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sent-copies", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float = 1.0) -> None:
        """Begin nothing new, and wait that long for what is under way."""
        self._over.set()
        deadline = monotonic() + seconds
        with self._gate:
            threads = [self._thread, *self._busy.values()]
        for thread in threads:
            thread.join(max(0.0, deadline - monotonic()))

    def _run(self) -> None:
        tidy_at = 0.0
        while not self._over.wait(self._tick / SECOND):
            try:
                if monotonic() >= tidy_at:
                    tidy_at = monotonic() + TIDY_EVERY / SECOND
                    copies.tidy(now_ms())
                self._begin()
            except Exception:
                log.exception("action=copies_trouble")
        database.close()

    def _begin(self) -> None:
        """A thread for each account that waits, as far as there is room."""
        with self._gate:
            room = MOST - len(self._busy)
            waiting = copies.due_accounts(now_ms(), MOST + room) if room > 0 else []
            for account_id in [one for one in waiting if one not in self._busy][:room]:
                thread = threading.Thread(
                    target=self._work, args=(account_id,), name="sent-copy", daemon=True
                )
                self._busy[account_id] = thread
                thread.start()

    def _append(self, account_id: str) -> int:
        return append_for(self._relay, account_id, instance_id=self._instance_id)

    def _work(self, account_id: str) -> None:
        try:
            while self._append(account_id) and not self._over.is_set():
                pass  # there may be more than fit into one connection
        except Exception:
            log.exception("action=copies_trouble")
        finally:
            with self._gate:
                self._busy.pop(account_id, None)
            database.close()
