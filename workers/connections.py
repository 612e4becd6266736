"""Connections to SMTP accounts that are kept open between emails, shared by the threads of a process."""

from __future__ import annotations

import threading
from collections.abc import Callable

from models.database import write
from models.smtp_config import SmtpConfig
from services import health
from services.endpoints import endpoint_of
from services.relay import Relay
from services.smtp import Connection, Endpoint
from utils.clock import monotonic

IDLE_SECONDS = 20.0  # well below the time-outs of servers, and it leaves the account's connections to others

Open = Callable[[Endpoint], Connection]


class ConnectionPool:
    """At most one thread holds a connection. Each open one, idle or not, has a slot in the database."""

    def __init__(self, relay: Relay, instance_id: int, open_connection: Open = Connection.open) -> None:
        self._relay = relay
        self._instance_id = instance_id
        self._open = open_connection
        self._lock = threading.Lock()
        self._idle: dict[tuple[int, int], list[Connection]] = {}  # by config and the version of its settings

    def take(self, config: SmtpConfig) -> Connection | None:
        """An idle connection of the config as it is configured now, if one is alive."""
        while True:
            with self._lock:
                kept = self._idle.get((config.id, config.updated_at))
                connection = kept.pop() if kept else None
            if connection is None or connection.is_alive():
                return connection
            self.discard(config.id, connection)

    def open(self, config: SmtpConfig) -> Connection:
        """A new connection, for which the claim took a slot. SmtpError, and the slot is free again."""
        try:
            return self._open(endpoint_of(self._relay, config))
        except BaseException:
            self.release_slot(config.id)
            raise

    def keep(self, config: SmtpConfig, connection: Connection) -> None:
        """Back into the pool, or closed when it is of no more use."""
        spent = connection.used >= config.max_messages_per_connection
        if not connection.usable or spent:
            connection.quit()
            self.release_slot(config.id)
            return
        connection.last_used = monotonic()
        self.put_back(config, connection)

    def put_back(self, config: SmtpConfig, connection: Connection) -> None:
        """Back into the pool, unused."""
        with self._lock:
            self._idle.setdefault((config.id, config.updated_at), []).append(connection)

    def discard(self, config_id: int, connection: Connection) -> None:
        connection.close()
        self.release_slot(config_id)

    def release_slot(self, config_id: int) -> None:
        write(lambda: health.release_slot(config_id, self._instance_id))

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
            connection.quit()
            self.release_slot(config_id)
