"""An SMTP server that plays one written dialog per connection, and notes where the client departs from it.

    # a comment
    S: 220 mx.test ESMTP            one line to send; adjoining S: lines leave in one write
    C: EHLO *                       one line to expect; * stands for anything
    C: <body>                       a message up to its final dot (kept in `bodies`, dots unstuffed)
    C: <eof>                        the client closes
    C: <nothing 0.2>                the client keeps silent for that long
    S: <wait 0.3>                   pause
    S: <slow 20/s> 220 text         a line at that many bytes a second
    S: <endless 5000/s> 220-text    that line over and over, until the client goes
    S: <flood> text                 that text over and over, without line ends, until the client goes
    S: <raw> text                   without a line end; \\r, \\n, \\0 are escapes
    S: <starttls>                   the TLS handshake, as server
    S: <close> | <reset>            FIN | RST
    S: <stop>                       say nothing more, and wait until the client goes
    S: <deaf>                       neither speak nor read until the client goes
    ===                             the next connection's dialog

The end of a dialog is an end of file from the client (after a QUIT or not) or whatever the last line does.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType

PATIENCE = 5.0  # seconds to wait for the client's next line


class Departure(AssertionError):
    """The client did not keep to the dialog."""


class ScriptedServer:
    """A context manager, on a free port. `finish()` raises Departure when the client strayed."""

    def __init__(
        self,
        text: str,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        buffers: int | None = None,
    ) -> None:
        """`buffers`: bytes for the kernel's two buffers of each socket."""
        self.left = threading.Event()  # the client has gone: a dialog that does not read cannot see it
        self._dialogs = [list(_steps(part)) for part in re.split(r"(?m)^===\s*$", text)]
        self._tls, self._implicit = tls, implicit_tls
        self.errors: list[str] = []
        self.received: list[str] = []  # every line from the client, AUTH lines too
        self.bodies: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        if buffers is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffers)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE + 1)

    def finish(self) -> None:
        self.left.set()
        self._thread.join(PATIENCE + 1)
        if self._thread.is_alive():
            self.errors.append("the dialog did not come to its end")
        if self.errors:
            raise Departure("; ".join(self.errors))

    def _run(self) -> None:
        for number, steps in enumerate(self._dialogs, 1):
            try:
                sock, _ = self._listener.accept()
            except OSError:
                self.errors.append(f"connection {number} never came")
                return
            player = _Player(self, sock)
            try:
                player.play(steps, self._tls if self._implicit else None)
            except (Departure, OSError) as error:
                self.errors.append(f"connection {number}: {error}")
            finally:
                player.sock.close()


class _Player:
    def __init__(self, server: ScriptedServer, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(PATIENCE)
        self.server, self.sock = server, sock
        self.buffer = bytearray()
        self.pending = b""

    def play(self, steps: list[tuple[str, str]], tls: ssl.SSLContext | None) -> None:
        if tls is not None and not self.handshake(tls):
            return
        for side, text in steps:
            if side == "S" and not text.startswith("<"):
                self.pending += text.encode() + b"\r\n"
                continue
            if not self.act(side, text):
                return
        self.flush()
        self.wait_for_eof()

    def act(self, side: str, text: str) -> bool:
        """One directive; False: the dialog is over."""
        word, _, rest = text.partition("> ")
        name, _, argument = word.strip("<>").partition(" ")
        if (side, name) == ("S", "raw"):
            self.pending += rest.encode().decode("unicode_escape").encode("latin-1")
            return True
        self.flush()
        match side, name:
            case "S", "wait":
                time.sleep(float(argument))
            case "S", "slow":
                return self.trickle(rest + "\r\n", float(argument.removesuffix("/s")))
            case "S", "endless":
                while self.trickle(rest + "\r\n", float(argument.removesuffix("/s")), 16):
                    pass
                return False
            case "S", "flood":
                while self.trickle(rest, 1e6, 4096):
                    pass
                return False
            case "S", "starttls":
                assert self.server._tls is not None
                return self.handshake(self.server._tls)
            case "S", "close":
                return False
            case "S", "reset":
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            case "S", "stop":
                self.wait_for_eof(strict=False)
                return False
            case "S", "deaf":
                self.server.left.wait(PATIENCE)
                return False
            case "C", "body":
                self.server.bodies.append(self.body())
            case "C", "eof":
                self.wait_for_eof()
                return False
            case "C", "nothing":
                self.silence(float(argument))
            case "C", _:
                self.expect(text)
            case _:
                raise Departure(f"unknown directive {side}: {text}")
        return True

    def flush(self) -> None:
        if self.pending:
            self.sock.sendall(self.pending)
            self.pending = b""

    def trickle(self, text: str, rate: float, step: int = 1) -> bool:
        """False when the client has gone, which is what such dialogs wait for."""
        data = text.encode()
        for at in range(0, len(data), step):
            try:
                self.sock.sendall(data[at : at + step])
            except OSError:
                return False
            time.sleep(step / rate)
        return True

    def handshake(self, context: ssl.SSLContext) -> bool:
        """False when the client refuses the certificate; what follows then is not played."""
        try:
            self.sock = context.wrap_socket(self.sock, server_side=True)
            return True
        except OSError:
            return False

    def line(self) -> str:
        while b"\r\n" not in self.buffer:
            self.fill("a line")
        line, _, rest = bytes(self.buffer).partition(b"\r\n")
        self.buffer[:] = rest
        text = line.decode("utf-8", "surrogateescape")
        self.server.received.append(text)
        return text

    def expect(self, pattern: str) -> None:
        line = self.line()
        if not re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), line):
            raise Departure(f"expected {pattern!r}, the client sent {line!r}")

    def body(self) -> bytes:
        while not (self.buffer.startswith(b".\r\n") or b"\r\n.\r\n" in self.buffer):
            self.fill("a body")
        if self.buffer.startswith(b".\r\n"):
            del self.buffer[:3]
            return b""
        end = self.buffer.index(b"\r\n.\r\n")
        data = bytes(self.buffer[: end + 2])
        del self.buffer[: end + 5]
        return (b"\r\n" + data).replace(b"\r\n.", b"\r\n")[2:]

    def silence(self, seconds: float) -> None:
        self.sock.settimeout(seconds)
        with suppress(TimeoutError):
            self.buffer += self.sock.recv(65536)
        self.sock.settimeout(PATIENCE)
        if self.buffer:
            raise Departure(f"the client should have waited, it sent {bytes(self.buffer)!r}")

    def fill(self, wanted: str) -> None:
        try:
            chunk = self.sock.recv(65536)
        except TimeoutError:
            raise Departure(f"the client sent nothing, {wanted} was expected") from None
        if not chunk:
            raise Departure(f"the client closed, {wanted} was expected")
        self.buffer += chunk

    def wait_for_eof(self, strict: bool = True) -> None:
        """A QUIT before it is fine; any other command is a departure, unless the dialog had stopped."""
        with suppress(ConnectionError, ssl.SSLError):
            while chunk := self.sock.recv(65536):
                self.buffer += chunk
        if strict and self.buffer not in (b"", b"QUIT\r\n"):
            raise Departure(f"the dialog was over, the client went on: {bytes(self.buffer)!r}")


def _steps(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            side, separator, rest = line.partition(": ")
            assert separator and side in ("S", "C"), f"not a dialog line: {line!r}"
            yield side, rest.strip() if rest.startswith("<") and "> " not in rest else rest
