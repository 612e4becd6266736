"""Bytes to and from an SMTP server. Every wait has an absolute deadline: no trickle can hold us."""

from __future__ import annotations

import math
import select
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

from utils import hub
from utils.clock import monotonic

from . import tls
from .errors import Reason, SmtpError, Stage
from .reply import CLOSING, MAX_LINE, Reply, take_reply

# Each block of this size has its own deadline: a large mail over a slow line is fine, a stalled one is not.
BLOCK = 256 * 1024
MAX_UNREAD = 4 * 1024 * 1024  # replies that come in while we still write: 4 KB each for 1,000 recipients
_IN, _OUT = select.POLLIN, select.POLLOUT
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """One socket that waits in poll() alone (the hub's, in a dialog of one), and the bytes read ahead of their use.

    Public methods close it and raise SmtpError, with the stage that the caller named, when anything fails.
    The private ones raise OSError (the network, time-outs) and ValueError (what the server said is no SMTP).
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._buffer = bytearray()
        self._poll = select.poll()
        self._ended = False  # the server will send no more
        self._aborted = False
        self.closed = False
        self.closing = False  # a 421 came
        self.sent = 0  # bytes that the kernel has taken

    def start_tls(self, context: ssl.SSLContext, name: str, limit: float, stage: Stage) -> None:
        if self._buffer:  # plaintext that would be read as if it had come through TLS (CVE-2011-0411)
            raise self.fail(stage, Reason.TLS, "the server sent data before the TLS handshake")
        deadline = monotonic() + limit
        try:
            self._sock = context.wrap_socket(self._sock, server_hostname=name, do_handshake_on_connect=False)
            self._shake_hands(self._sock, deadline)
        except ssl.SSLError as error:
            raise self.fail(stage, Reason.TLS, tls.explain(error)) from error
        except OSError as error:
            raise self._broken(error, stage) from error
        except ValueError as error:  # a name that no certificate can bear
            raise self.fail(stage, Reason.TLS, f"TLS failed: {error}") from error

    def tls_info(self) -> tls.TlsInfo | None:
        return tls.describe(self._sock) if isinstance(self._sock, ssl.SSLSocket) else None

    def command(self, line: bytes, limit: float, stage: Stage) -> Reply:
        self.send([line], limit, stage)
        return self.read_reply(limit, stage)

    def read_reply(self, limit: float, stage: Stage) -> Reply:
        deadline = monotonic() + limit
        try:
            while (reply := take_reply(self._buffer)) is None:
                self._read_line_end(deadline)
        except (OSError, ValueError) as error:
            raise self._broken(error, stage) from error
        if reply.code == CLOSING:
            self.closing = True
        return reply

    def send(
        self, parts: Sequence[bytes], limit: float, stage: Stage, essential: int | None = None
    ) -> SmtpError | None:
        """Write it all, with `limit` seconds for each block. A failure is raised, but one after the first
        `essential` bytes is returned and leaves the socket open: the reply to those can still be read."""
        start = self.sent
        if len(parts) > 1 and sum(map(len, parts)) <= BLOCK:
            parts = [b"".join(parts)]
        try:
            for part in parts:
                view = memoryview(part)
                for at in range(0, len(part), BLOCK):
                    self._send_block(view[at : at + BLOCK], monotonic() + limit)
        except (OSError, ValueError) as error:
            if essential is not None and self.sent - start >= essential:
                return self._explain(error, stage)
            raise self._broken(error, stage, self._last_words()) from error
        return None

    def idle(self) -> bool:
        """Open, and the server has neither closed nor spoken (to announce that it will, usually)."""
        if self.closing or self._buffer or self._ended:
            return False
        try:
            self._receive()
        except OSError:  # closed by us, too
            return False
        return not (self._buffer or self._ended)

    def fail(self, stage: Stage, reason: Reason, detail: str, reply: Reply | None = None) -> SmtpError:
        """Close, and make the error to raise."""
        self.close()
        return SmtpError(stage, reason, detail, reply)

    def close(self) -> None:
        self.closed = True
        self._sock.close()

    def abort(self) -> None:
        """From any thread: wake whoever waits on this socket, who then closes it."""
        self._aborted = True
        with suppress(OSError):  # it is closed already
            # Not SSLSocket.shutdown: it drops the TLS state under the hands of the other thread.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def _shake_hands(self, sock: ssl.SSLSocket, deadline: float) -> None:
        while True:
            try:
                return sock.do_handshake()
            except ssl.SSLWantReadError:
                self._wait(_IN, deadline)
            except ssl.SSLWantWriteError:
                self._wait(_OUT, deadline)

    def _read_line_end(self, deadline: float) -> None:
        """Read on until a line ends or is too long, so that a trickle is not parsed again at each byte."""
        enough = len(self._buffer) + MAX_LINE
        while len(self._buffer) <= enough:
            if self._ended:
                raise ConnectionError("the server closed the connection")
            if not (isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()):
                self._wait(_IN, deadline)
            if b"\n" in self._receive():
                return

    def _receive(self) -> bytes:
        """What there is to read now; it is in the buffer too."""
        try:
            chunk = self._sock.recv(8192)
        except _NOT_NOW:
            return b""
        self._ended = not chunk
        self._buffer += chunk
        return chunk

    def _send_block(self, block: memoryview, deadline: float) -> None:
        """A server that does not read may be waiting until we read its replies, so we do (RFC 2920 3.1)."""
        while block:
            try:
                count = self._sock.send(block)
            except _NOT_NOW:
                if self._wait(_OUT if self._ended else _IN | _OUT, deadline) & _IN:
                    self._receive()
                if len(self._buffer) > MAX_UNREAD:
                    raise ValueError("the server floods us with replies") from None
                continue
            self.sent += count
            block = block[count:]

    def _wait(self, events: int, deadline: float) -> int:
        """Returns what is ready. The deadline comes first: one that always has a byte more is late too."""
        left = deadline - monotonic()
        here = hub.current()
        if left <= 0:
            ready = 0
        elif here is not None:
            ready = here.wait(self._sock.fileno(), events, deadline)
        else:
            self._poll.register(self._sock, events)
            ready = dict(self._poll.poll(math.ceil(left * 1000))).get(self._sock.fileno(), 0)
        if not ready:
            raise TimeoutError("the server did not answer in time")
        return ready

    def _last_words(self) -> Reply | None:
        """Servers often say why before they hang up."""
        try:
            self._receive()
            return take_reply(self._buffer)
        except (OSError, ValueError):
            return None

    def _broken(self, error: Exception, stage: Stage, reply: Reply | None = None) -> SmtpError:
        self.close()
        failure = self._explain(error, stage)
        failure.reply = reply
        return failure

    def _explain(self, error: Exception, stage: Stage) -> SmtpError:
        if self._aborted:
            return SmtpError(stage, Reason.CLOSED, "the connection was cut off from our side")
        if isinstance(error, TimeoutError):
            return SmtpError(stage, Reason.TIMEOUT, str(error))
        if isinstance(error, OSError):
            return SmtpError(stage, Reason.CLOSED, f"the connection broke: {error.strerror or error}")
        return SmtpError(stage, Reason.PROTOCOL, str(error))
