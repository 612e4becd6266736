"""kill -9 while a copy is being appended: the Sent folder holds it once in the end, whatever the moment."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.composing.sent import message_ids, sent
from tests.support.daemon import Daemon
from tests.support.dovecot import FULL, PASSWORD, shared
from tests.support.relay import wait_for
from tests.support.sink import Sink
from tests.support.tcp import served

USER = {"X-Tenant-ID": "acme", "X-User-ID": "ann"}


class Trap:
    """A way to the IMAP server that kills the daemon at its moment, once.

    `moment` is asked for each piece on its way, with who sent it; its answer is how many bytes of it still pass, or
    None for all of it and no harm.
    """

    def __init__(
        self, port: int, moment: Callable[[str, bytes], int | None], kill: Callable[[], None]
    ) -> None:
        self._port, self._moment, self._kill = port, moment, kill
        self._gate = threading.Lock()
        self.sprung = threading.Event()

    def talk(self, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as server:
            back = threading.Thread(target=self._pass, args=("server", server, client), daemon=True)
            back.start()
            self._pass("client", client, server)
            back.join(5)

    def _pass(self, who: str, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                with self._gate:
                    allowed = None if self.sprung.is_set() else self._moment(who, data)
                    target.sendall(data if allowed is None else data[:allowed])
                    if allowed is not None:
                        self._kill()
                        self.sprung.set()
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def at_command(who: str, data: bytes) -> int | None:
    return 0 if who == "client" and b" APPEND " in data else None


def within_the_message(who: str, data: bytes) -> int | None:
    return len(data) // 2 if who == "client" and b"Message-ID: " in data else None


def before_the_answer(who: str, data: bytes) -> int | None:
    return 0 if who == "server" and b"APPENDUID" in data else None


def after_the_answer(who: str, data: bytes) -> int | None:
    return len(data) if who == "server" and b"APPENDUID" in data else None


def after_bytes(seed: int) -> Callable[[str, bytes], int | None]:
    left = random.Random(seed).randrange(1_200, 2_600)

    def moment(who: str, data: bytes) -> int | None:
        nonlocal left
        if who == "server":
            if len(data) >= left:
                return left
            left -= len(data)
        return None

    return moment


MOMENTS: list[Any] = [within_the_message, before_the_answer, after_the_answer]
MOMENTS += [pytest.param(at_command, id="at_command", marks=pytest.mark.long)]
MOMENTS += [pytest.param(after_bytes(seed), id=f"seed{seed}", marks=pytest.mark.long) for seed in range(30)]


@pytest.mark.parametrize("moment", MOMENTS)
def test_it_is_there_once_whenever_the_daemon_is_killed(tmp_path: Path, moment: Any) -> None:
    dovecot = shared(FULL)
    user, daemon = dovecot.user(), Daemon(tmp_path, allow_private_hosts="on")
    trap = Trap(dovecot.imap, moment, daemon.kill)
    with served(trap.talk) as way, Sink(auth=(user, PASSWORD)) as sink:
        daemon.start()
        try:
            account = daemon.post("/api/accounts", of(user, way, sink.port), headers=USER)["id"]
            mail = {"accountId": account, "to": ["bo@example.com"], "subject": "Hello", "body": "Hello Bo"}
            answer = daemon.post("/api/compose", mail, status=202, headers=USER)
            wait_for(trap.sprung.is_set, 30)
            daemon.process.wait(10)
            daemon.start()
            wait_for(lambda: daemon.query("SELECT state FROM sent_copies") == [("done",)], 30)
            assert message_ids([body for _, body in sent(dovecot, user)]) == [answer["messageId"]]
            assert sink.accepted == 1
        finally:
            daemon.stop()


def of(user: str, imap: int, smtp: int) -> dict[str, Any]:
    return {
        "accountName": "Work", "emailAddress": user, "hostname": "127.0.0.1", "port": imap, "encryption": "none",
        "username": user, "password": PASSWORD, "isSyncEnabled": False,
        "smtp": {"hostname": "127.0.0.1", "port": smtp, "encryption": "none"},
    }  # fmt: skip
