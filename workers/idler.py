"""Connections that wait for news of an inbox (IDLE): one thread for all of them.

They are a wake-up and nothing else: what is new is found by the pass that follows.
"""

from __future__ import annotations

import logging
import select
import threading
from collections.abc import Callable

from models.database import database
from services.imap import Client, ImapError
from utils.clock import monotonic

log = logging.getLogger("mailferry.sync")

MOST = 500  # connections of a process; each is a file, and a place in its server
RENEW_SECONDS = 9 * 60.0  # NAT forgets a silent connection; servers end one after half an hour
PATIENCE_SECONDS = 120.0  # for a pass to take a connection that has woken it
GLANCE_MS = 1_000


class Idler:
    """`wake` is called with the account whose server has spoken, or whose connection must be renewed."""

    def __init__(
        self,
        wake: Callable[[str], None],
        renew: float = RENEW_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._wake = wake
        self._patience = patience
        self._renew = renew
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[Client, float]] = {}
        self._told: dict[str, tuple[Client, float]] = {}  # waked for; a pass is about to take them
        self._stopping = False
        self._thread = threading.Thread(target=self._watch, name="idler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        with self._lock:
            waiting = [*self._waiting.values(), *self._told.values()]
            self._waiting, self._told = {}, {}
        for client, _ in waiting:
            client.protocol.wire.close()  # a last word would have to wait for an answer
        if self._thread.is_alive():
            self._thread.join(5.0)

    def keep(self, account_id: str, client: Client) -> None:
        """It waits already: see `begin_idle`."""
        with self._lock:
            former = [one.pop(account_id)[0] for one in (self._waiting, self._told) if account_id in one]
            full = self._stopping or len(self._waiting) + len(self._told) >= MOST
            if not full:
                self._waiting[account_id] = (client, monotonic())
        for one in [*former, *([client] if full else [])]:
            one.protocol.wire.close()

    def take(self, account_id: str) -> Client | None:
        """The account's connection, ready for commands; None when there is none that lives."""
        with self._lock:
            held = self._waiting.pop(account_id, None) or self._told.pop(account_id, None)
        if held is None:
            return None
        client = held[0]
        try:
            client.protocol.end_idle()
            return client
        except ImapError:
            client.protocol.wire.close()
            return None

    def _watch(self) -> None:
        while not self._stopping:
            try:
                for account_id in self._spoken():
                    self._wake(account_id)
            except Exception:
                log.exception("action=idler_trouble")
                threading.Event().wait(1.0)
        database.close()

    def _spoken(self) -> list[str]:
        """Accounts to be synced now. Each is told of once; its connection stays until a pass takes it."""
        poll = select.poll()
        oldest = monotonic() - self._renew
        with self._lock:
            sockets = {
                client.protocol.wire.fileno(): account_id for account_id, (client, _) in self._waiting.items()
            }
            late = [account_id for account_id, (_, since) in self._waiting.items() if since < oldest]
        for number in sockets:
            if number >= 0:
                poll.register(number, select.POLLIN)
        found = [sockets[number] for number, _ in poll.poll(GLANCE_MS)]
        told = list(dict.fromkeys([*found, *late, *(sockets[number] for number in sockets if number < 0)]))
        self._let_go(told)
        self._close_untaken()
        return told

    def _let_go(self, accounts: list[str]) -> None:
        """They are not looked at again: a socket that has something to read would keep us awake."""
        with self._lock:
            for account_id in accounts:
                if account_id in self._waiting:
                    self._told[account_id] = (self._waiting.pop(account_id)[0], monotonic())

    def _close_untaken(self) -> None:
        """No pass came for them: the account was switched off or deleted."""
        oldest = monotonic() - self._patience
        with self._lock:
            old = [account_id for account_id, (_, since) in self._told.items() if since < oldest]
            closing = [self._told.pop(account_id)[0] for account_id in old]
        for client in closing:
            client.protocol.wire.close()
