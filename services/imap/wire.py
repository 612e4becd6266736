"""Bytes to and from a server. However slowly it trickles, and however much it sends, there is an end to it."""

from __future__ import annotations

import math
import select
import socket
import ssl
from contextlib import suppress

from services.smtp.tls import TlsInfo, describe, explain
from utils.clock import monotonic

from .endpoint import Limits
from .errors import ImapError, Reason

BLOCK = 256 * 1024
LONGEST_LINE = 8_000_000  # the structure of a message with 10,000 parts is one line
_IN, _OUT = select.POLLIN, select.POLLOUT
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """A socket that waits in poll() alone, and what was read ahead. Everything raises ImapError and closes it then."""

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._limits = limits
        self._buffer = bytearray()
        self._aborted = False
        self.closed = False
        self._last = monotonic() + limits.session
        self.begin(limits.greeting)

    def begin(self, limit: float | None = None) -> None:
        """A new command: its time and its share of our memory start here."""
        now = monotonic()
        self._limit = limit or self._limits.command
        self._end = min(now + max(self._limits.whole, self._limit), self._last)
        self._deadline = min(now + self._limit, self._end)
        self._received = self._in_block = 0

    def allow(self, seconds: float) -> None:
        """From now on, for all that is said."""
        self._last = monotonic() + seconds

    def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        if self._buffer:  # plaintext that would be read as if it had come through TLS (CVE-2011-0411)
            raise self.fail(Reason.TLS, "the server sent data before the TLS handshake")
        try:
            self._sock = context.wrap_socket(self._sock, server_hostname=name, do_handshake_on_connect=False)
            self._shake_hands(self._sock)
        except ssl.SSLError as error:
            raise self.fail(Reason.TLS, explain(error)) from error
        except OSError as error:
            raise self._broken(error) from error
        except ValueError as error:  # a name that no certificate can bear
            raise self.fail(Reason.TLS, f"TLS failed: {error}") from error

    def tls_info(self) -> TlsInfo | None:
        return describe(self._sock) if isinstance(self._sock, ssl.SSLSocket) else None

    def read(self, size: int) -> bytes:
        if self._received + size > self._limits.answer:
            raise self.fail(
                Reason.TOO_LARGE, f"the server's answer is larger than {self._limits.answer} bytes"
            )
        while len(self._buffer) < size:
            self._receive()
        return self._take(size)

    def readline(self) -> bytes:
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if start > LONGEST_LINE:
                raise self.fail(Reason.PROTOCOL, "the server sent a line without an end")
            self._receive()
        return self._take(end + 1)

    def read_some(self) -> bytes:
        """What is there, and something is."""
        if not self._buffer:
            self._receive()
        return self._take(len(self._buffer))

    def unread(self, data: bytes) -> None:
        self._buffer[:0] = data

    def grant(self, seconds: float) -> None:
        """In the midst of an answer: for so long it was us who kept the server waiting."""
        self._deadline = min(self._deadline + seconds, self._end)

    def send(self, data: bytes) -> None:
        try:
            for at in range(0, len(data), BLOCK):
                self._deadline = min(monotonic() + self._limit, self._last)
                self._send_block(memoryview(data)[at : at + BLOCK])
        except OSError as error:
            raise self._broken(error) from error

    def waits(self, seconds: float) -> bool:
        """Whether something comes within that time."""
        if self._buffer or (isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()):
            return True
        try:
            return bool(self._poll(_IN, seconds))
        except (OSError, ValueError) as error:
            raise self.fail(Reason.CLOSED, "the connection was closed") from error

    def fileno(self) -> int:
        """To be polled; -1 once it is closed."""
        return self._sock.fileno()

    def fail(self, reason: Reason, detail: str) -> ImapError:
        """Close, and make the error to raise."""
        self.close()
        return ImapError(reason, detail)

    def close(self) -> None:
        self.closed = True
        self._sock.close()

    def abort(self) -> None:
        """From any thread: wake whoever waits on this socket, who then closes it."""
        self._aborted = True
        with suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _shake_hands(self, sock: ssl.SSLSocket) -> None:
        while True:
            try:
                return sock.do_handshake()
            except ssl.SSLWantReadError:
                self._wait(_IN)
            except ssl.SSLWantWriteError:
                self._wait(_OUT)

    def _receive(self) -> None:
        try:
            while True:
                try:
                    chunk = self._sock.recv(65_536)
                    break
                except _NOT_NOW:
                    self._wait(_IN)
        except OSError as error:
            raise self._broken(error) from error
        if not chunk:
            raise self._broken(ConnectionError("the server closed the connection"))
        self._count(len(chunk))
        self._buffer += chunk

    def _count(self, size: int) -> None:
        self._received += size
        self._in_block += size
        if self._received > self._limits.answer + BLOCK:
            raise self.fail(
                Reason.TOO_LARGE, f"the server's answer is larger than {self._limits.answer} bytes"
            )
        if self._in_block >= BLOCK:
            self._in_block = 0
            self._deadline = min(monotonic() + self._limit, self._end)

    def _send_block(self, block: memoryview) -> None:
        while block:
            try:
                block = block[self._sock.send(block) :]
            except _NOT_NOW:
                self._wait(_OUT)

    def _wait(self, events: int) -> None:
        left = self._deadline - monotonic()
        if left <= 0 or not self._poll(events, left):
            raise TimeoutError("the server did not answer in time")

    def _poll(self, events: int, seconds: float) -> int:
        poll = select.poll()
        poll.register(self._sock, events)
        return dict(poll.poll(math.ceil(seconds * 1000))).get(self._sock.fileno(), 0)

    def _broken(self, error: OSError) -> ImapError:
        if self._aborted:
            return self.fail(Reason.CLOSED, "the connection was cut off from our side")
        if isinstance(error, TimeoutError):
            return self.fail(Reason.TIMEOUT, str(error))
        return self.fail(Reason.CLOSED, f"the connection broke: {error.strerror or error}")
