"""Wake-ups between daemons that share a PostgreSQL: LISTEN and NOTIFY, on a connection of their own.

Not in the transaction that stores an email: PostgreSQL lets such transactions commit one after the other only, each
with its fsync. A notification that is lost with a crash costs a second, since idle workers look that often.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import psycopg

from utils.clock import monotonic

log = logging.getLogger(__name__)

CHANNEL = "mailferry"
RETRY_SECONDS = 1.0


class Listener:
    """For one thread. `commits` counts those of this process."""

    def __init__(self, url: str, commits: Callable[[], int]) -> None:
        self._url = url
        self._commits = commits
        self._seen = 0
        self._connection: psycopg.Connection[Any] | None = None
        self._next_try = 0.0

    def changed(self, seconds: float) -> bool:
        """Wait for up to `seconds`; whether we have committed, or another process has announced, something."""
        heard = self._hears(seconds)
        before, self._seen = self._seen, self._commits()
        return heard or self._seen != before

    def _hears(self, seconds: float) -> bool:
        if self._connection is None:
            if monotonic() < self._next_try:
                threading.Event().wait(seconds)
                return False
            return self._listen()  # whatever was announced meanwhile was missed
        try:
            mine = self._connection.info.backend_pid
            heard = [one.pid for one in self._connection.notifies(timeout=seconds, stop_after=1)]
        except psycopg.Error as exc:
            self._lose(exc)
            return False
        return any(pid != mine for pid in heard)

    def announce(self) -> None:
        """Tell the other processes."""
        if self._connection is None:
            return
        try:
            self._connection.execute(f"NOTIFY {CHANNEL}")
        except psycopg.Error as exc:
            self._lose(exc)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _listen(self) -> bool:
        self._next_try = monotonic() + RETRY_SECONDS
        try:
            self._connection = psycopg.connect(self._url, autocommit=True)
            self._connection.execute(f"LISTEN {CHANNEL}")
        except psycopg.Error as exc:
            self._lose(exc)
            return False
        return True

    def _lose(self, exc: psycopg.Error) -> None:
        log.warning("action=listener_lost error=%s", str(exc).partition("\n")[0])
        self.close()
