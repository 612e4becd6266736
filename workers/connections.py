"""Connections to SMTP accounts that are kept open between emails, shared by the threads of a process."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from models.database import rows, run, write
from models.smtp_config import SmtpConfig
from services import health
from services.endpoints import logged_in
from services.relay import Relay
from services.smtp import Connection, Endpoint
from utils.clock import monotonic

log = logging.getLogger("mailferry.connections")

IDLE_SECONDS = 20.0  # well below the time-outs of servers, and it leaves the account's connections to others

Open = Callable[[Endpoint], Connection]


class ConnectionPool:
    """At most one thread holds a connection. Each open one, idle or not, has a slot in the database.

    Slots are counted here too, where nothing can fail; `true_up` mends a count in the database that missed a change.
    """

    def __init__(self, relay: Relay, instance_id: int, open_connection: Open = Connection.open) -> None:
        self._relay = relay
        self._instance_id = instance_id
        self._open = open_connection
        self._lock = threading.Lock()
        self._idle: dict[tuple[int, int], list[Connection]] = {}  # by config and the version of its settings
        self._slots: Counter[int] = Counter()  # by config
        self._changing: Counter[int] = Counter()  # threads that are between the two counts, by config

    def has_idle(self, config_id: int) -> bool:
        with self._lock:
            return any(key[0] == config_id and kept for key, kept in self._idle.items())

    def take(self, config: SmtpConfig) -> Connection | None:
        """An idle connection of the config as it is configured now, if one is alive."""
        self._close_former(config)
        while True:
            connection = self._pick((config.id, config.updated_at))
            if connection is None or connection.is_alive():
                return connection
            self._close(config.id, connection)

    def open(self, config: SmtpConfig) -> Connection:
        """A new connection, in the slot that the claim took or that a dead one leaves. SmtpError."""
        return logged_in(self._relay, config, self._open)

    def keep(self, config: SmtpConfig, connection: Connection | None) -> None:
        """Back into the pool; or, when it is of no more use or was never had, an end to its slot."""
        if connection is None:
            self.release_slot(config.id)
        elif not connection.usable or connection.used >= config.max_messages_per_connection:
            self._close(config.id, connection)
        else:
            connection.last_used = monotonic()
            self.put_back(config, connection)

    def put_back(self, config: SmtpConfig, connection: Connection) -> None:
        """Back into the pool, unused."""
        with self._lock:
            self._idle.setdefault((config.id, config.updated_at), []).append(connection)

    def sweep(self, *, everything: bool = False) -> None:
        """Close what was idle too long."""
        oldest = monotonic() - IDLE_SECONDS
        closing: list[tuple[int, Connection]] = []
        with self._lock:
            for (config_id, _), kept in self._idle.items():
                old = [one for one in kept if everything or one.last_used < oldest]
                closing += [(config_id, one) for one in old]
                kept[:] = [one for one in kept if one not in old]
            self._idle = {key: kept for key, kept in self._idle.items() if kept}
        for config_id, connection in closing:
            self._close(config_id, connection)

    # Slots.

    @contextmanager
    def changing(self, config_id: int) -> Iterator[None]:
        """Around a change of both counts of a config, so that nobody compares them half-way."""
        self._count(self._changing, config_id, 1)
        try:
            yield
        finally:
            self._count(self._changing, config_id, -1)

    def slot_taken(self, config_id: int) -> None:
        """The claim took a slot in the database. Call within `changing`."""
        self._count(self._slots, config_id, 1)

    def release_slot(self, config_id: int) -> None:
        """Never fails: what the database missed is mended by `true_up`."""
        with self.changing(config_id):
            self._count(self._slots, config_id, -1)
            try:
                write(lambda: health.release_slot(config_id, self._instance_id))
            except Exception:
                log.exception("action=release_trouble config=%s", config_id)

    def true_up(self) -> None:
        """Make the database agree with what is really open."""
        if self._wrong():
            write(self._mend)

    def _wrong(self) -> list[tuple[int, int]]:
        """(config, slots) where the database says otherwise."""
        stored = rows(
            "SELECT smtp_config_id, connections FROM slots WHERE instance_id = ?", self._instance_id
        )
        with self._lock:
            return [
                (config_id, self._slots[config_id])
                for config_id, count in stored
                if count != self._slots[config_id] and not self._changing[config_id]
            ]

    def _mend(self) -> None:
        for config_id, count in self._wrong():
            log.warning("action=slots_mended config=%s connections=%s", config_id, count)
            run(
                "UPDATE slots SET connections = ? WHERE smtp_config_id = ? AND instance_id = ?",
                count, config_id, self._instance_id,
            )  # fmt: skip

    def _count(self, counter: Counter[int], config_id: int, change: int) -> None:
        with self._lock:
            counter[config_id] += change

    def _pick(self, key: tuple[int, int]) -> Connection | None:
        with self._lock:
            kept = self._idle.get(key)
            return kept.pop() if kept else None

    def _close_former(self, config: SmtpConfig) -> None:
        """Connections to settings of before take up slots, and are of no more use."""
        with self._lock:
            former = [one for one in self._idle if one[0] == config.id and one[1] < config.updated_at]
            closing = [connection for key in former for connection in self._idle.pop(key)]
        for connection in closing:
            self._close(config.id, connection)

    def _close(self, config_id: int, connection: Connection) -> None:
        connection.quit()
        self.release_slot(config_id)
