"""A wire to a server that the test can cut, let hang, and mend."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit


class Wire:
    """Listens on a port of its own and passes everything on. `before_passing` sees what clients
    send, `before_answering` what they are sent; either may cut, and raise OSError."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._flows = threading.Event()
        self._flows.set()
        self.is_cut = False
        self.before_passing: Any = lambda data: None
        self.before_answering: Any = lambda data: None

    @classmethod
    def to(cls, url: str) -> tuple[Wire, str]:
        """A wire to the server of a database URL, and the URL that leads through it."""
        parts = urlsplit(url)
        wire = cls(parts.hostname or "127.0.0.1", parts.port or 5432)
        user = parts.netloc.rpartition("@")[0]
        return wire, urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{wire.port}"))

    def __enter__(self) -> Wire:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._flows.set()
        self.cut()

    def cut(self) -> None:
        """End all connections, and refuse new ones."""
        self.is_cut = True
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def hang(self) -> None:
        """Pass nothing more, and end nothing: like a cable that was pulled."""
        self._flows.clear()

    def mend(self) -> None:
        self.is_cut = False
        self._flows.set()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.is_cut:
                client.close()
                continue
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._sockets |= {client, server}
            for source, target, watch in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass, args=(source, target, watch), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, watch: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self._flows.wait()
                (self.before_passing if watch else self.before_answering)(data)
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
