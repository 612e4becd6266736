"""A way to an IMAP server on which the client's commands are counted."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.tcp import served
from utils.clock import now_ms

Commands = list[tuple[int, str]]  # when (ms since the epoch), and its name

_COMMAND = re.compile(rb"^(?:[A-Za-z0-9]+ ((?:UID )?[A-Za-z]+)|(DONE))", re.MULTILINE)


@contextmanager
def counted(port: int) -> Iterator[tuple[int, Commands]]:
    """The port of the way, and what was said on it so far."""
    commands: Commands = []

    def talk(client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port)) as server:
            threading.Thread(target=_pass, args=(server, client), daemon=True).start()
            while data := client.recv(65_536):
                commands.extend((now_ms(), (one[1] or one[2]).decode()) for one in _COMMAND.finditer(data))
                server.sendall(data)

    with served(talk) as way:
        yield way, commands


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
