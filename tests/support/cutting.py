"""A way to a server that breaks after so many bytes of its answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.tcp import served


@contextmanager
def cut_after(count: int, port: int, *, again: bool = True) -> Iterator[int]:
    """The port of the way. Each connection has `count` bytes; unless `again`, those after the first have no end."""
    left = iter([count])

    def talk(client: socket.socket) -> None:
        allowed = count if again else next(left, 1 << 60)
        with socket.create_connection(("127.0.0.1", port)) as server:
            threading.Thread(target=_pass, args=(client, server), daemon=True).start()
            while allowed > 0 and (data := server.recv(min(65_536, allowed))):
                client.sendall(data)
                allowed -= len(data)
            for one in (client, server):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    with served(talk) as way:
        yield way


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
