"""A server that says what a test tells it to, whatever the protocol."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def served(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Its port. `talk` has each connection in a thread of its own; that ends when the connection does."""
    listener = socket.create_server(("127.0.0.1", 0))
    talking: list[socket.socket] = []

    def speak(sock: socket.socket) -> None:
        with sock, suppress(OSError):
            talk(sock)

    def accept() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                talking.append(sock)
                threading.Thread(target=speak, args=(sock,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for sock in talking:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        thread.join(5)
