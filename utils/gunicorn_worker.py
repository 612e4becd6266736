"""A threaded gunicorn worker in which a slow client holds no thread: `worker_class` of gunicorn.conf.py.

gunicorn's own gives a connection a thread with its first byte, for as long as the rest takes, and takes no further
connections once `worker_connections` are open. A few clients that send half a request and wait then stop all others.
Here the event loop gathers a request, and a thread gets it when it is whole. When connections run out, the one that
has waited longest makes room. Nor does the loop stand still for up to two seconds while a client reads its last answer.

A request that waits for nothing but a commit gets no thread at all. All such requests that are there are read by the
loop and stored by one commit, which saves the hand-over of the interpreter from thread to thread: the larger part of
their cost. One that waits for somebody else's server gets a thread of another pool: a few of them, each for minutes,
must not keep all others waiting.

A new connection is left to a worker with fewer of them, as long as that takes it at once.
"""

from __future__ import annotations

import errno
import re
import select
import socket
import struct
import time
from contextlib import suppress
from functools import partial
from operator import gt
from selectors import EVENT_READ
from typing import Any
from urllib.parse import unquote

from gunicorn import http, util
from gunicorn.workers.gthread import ThreadWorker

from utils import hub
from utils.clock import monotonic
from utils.hub import Hub
from utils.shares import Shares

REQUEST_SECONDS = 30.0  # from the connection, or the answer before, to the request as far as it is gathered
STOPPING_SECONDS = 2.0  # the same once we are told to stop
THREAD_SECONDS = 10  # a thread waits so long for more of a larger body, or for a client that reads no answer
GATHERED = 64 * 1024  # bytes of a body; larger ones are read by the thread
LINGER_SECONDS = 2.0  # for a client to read the last answer and close, before we do
LARGEST_HEAD = 64 * 1024  # larger ones are refused here, since gunicorn would wait for their end
SEND_BUFFER = (
    512 * 1024
)  # bytes, as far as the kernel allows: no answer may make the loop wait for its client
YIELD_SECONDS = 0.02  # in which a worker with fewer connections may take the next one
YIELD_STEP = 0.0001
IMPATIENT_SECONDS = 1.0  # in which nobody is waited for after one who did not
QUICK_SECONDS = 0.05  # should the loop all the same read what has not come: an error, and no longer wait

_LENGTHS = re.compile(rb"\r\ncontent-length:([^\r\n]*)", re.IGNORECASE)
_LENGTH = re.compile(rb"[ \t]*(\d{1,18})[ \t]*")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_PATH_END = re.compile("[?#]")
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)


class Inbox:
    """What has come of a request."""

    __slots__ = ("_body", "_chunk", "_expects", "_needed", "_plain", "data", "since")

    def __init__(self, data: bytes) -> None:
        self.data = bytearray()
        self.since = monotonic()
        self._body = 0  # where the body begins; 0 while the head is not whole
        self._chunk = 0  # where the first chunk begins that is not here to its end
        self._needed = 0  # bytes of body to gather; -1 for chunks
        self._plain = False  # its length is known, and small enough to be gathered whole
        self._expects = False
        self.add(data)

    def add(self, chunk: bytes) -> None:
        before = len(self.data)
        self.data += chunk
        if not self._body:
            end = self.data.find(b"\r\n\r\n", max(0, before - 3))
            if end >= 0:
                self._read_head(end + 4)

    def _read_head(self, end: int) -> None:
        head = bytes(self.data[:end])
        lengths = [_LENGTH.fullmatch(one) for one in _LENGTHS.findall(head)]
        length = int(lengths[0][1]) if lengths and lengths[0] else 0
        chunked = _CHUNKED.search(head) is not None
        self._plain = not chunked and len(lengths) <= 1 and all(lengths) and length <= GATHERED
        self._needed = -1 if chunked else min(length, GATHERED)
        self._body = end
        if _EXPECT.search(head):
            self._expects = True
            head = _EXPECT.sub(b"", head)
            self.data[:end] = head
            self._body = len(head)
        self._chunk = self._body

    def is_whole(self) -> bool:
        """As far as it is gathered here."""
        if not self._body:
            return False
        gathered = len(self.data) - self._body
        if self._needed < 0:
            return gathered > GATHERED or self._chunks_end()
        return gathered >= self._needed

    def _chunks_end(self) -> bool:
        """Whether a chunked body (RFC 9112 7.1) is here to its end, or is none. What was read once is not read again:
        it may come byte by byte."""
        while True:
            end = self.data.find(b"\r\n", self._chunk)
            if end < 0:
                return False
            size = bytes(self.data[self._chunk : end]).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size):
                return True  # gunicorn will say so
            if int(size, 16) == 0:
                return self.data.find(b"\r\n\r\n", end) >= 0  # after the trailers, if there are any
            after = end + 2 + int(size, 16) + 2
            if after > len(self.data):
                return False
            self._chunk = after

    def is_too_large(self) -> bool:
        return not self._body and len(self.data) > LARGEST_HEAD

    def is_whole_for(self, lines: tuple[bytes, ...]) -> bool:
        """Whether it begins with one of these request lines, and is here to its end without any doubt."""
        return self._plain and bytes(self.data[:80]).startswith(lines) and self.is_whole()

    def line(self) -> str:
        """`METHOD path`, with the path as the application will see it, in whatever odd way it is written."""
        words = bytes(self.data[: self._body]).split(maxsplit=2)[:2]
        method, uri = (word.decode("latin-1") for word in (*words, b"", b"")[:2])
        return f"{method} {unquote(_PATH_END.split(uri, maxsplit=1)[0], 'latin-1')}"

    def takes_up_expectation(self) -> bool:
        """True once, when the client waits for our word before it sends the body."""
        expects, self._expects = self._expects, False
        return expects


class GatheringWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no type hints
    """`quick`: the request lines, with their line ends, of requests that wait for nothing but a commit.
    `outward`: matches `METHOD path` of those that wait for somebody else's server."""

    quick: tuple[bytes, ...] = ()
    slow: tuple[bytes, ...] = ()  # what a request among them holds that takes longer all the same
    outward: re.Pattern[str] | None = None
    shares: Shares | None = None  # with `place`, ours in it: set before the fork
    place = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: dict[Any, Inbox] = {}  # by connection, the oldest first
        self._leaving: dict[Any, float] = {}  # connections that are closed on our side, and since when
        self._yielded = 0.0  # since when the next connection is left to others
        self._counts: tuple[int, ...] = ()  # who had how many at the last look
        self._patient_from = 0.0
        self._asked = False  # in this turn of the loop, to take a connection
        self._hub: Hub

    def init_process(self) -> None:
        self._hub = Hub()
        self._outward_pool = self.get_thread_pool()
        super().init_process()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        self._tell_share()
        asked, self._asked = self._asked, False
        if not asked:
            self._counts = ()  # whatever was left to others is taken
        super().wait_for_and_dispatch_events(timeout)
        self._hub.finish()

    def _tell_share(self) -> None:
        if self.shares is None:
            return
        if self.alive:
            self.shares.set(self.place, self.nr_conns)
        else:
            self.shares.leave(self.place)

    def accept(self, listener: Any) -> None:
        self._asked = True
        if self._leaves_it_to_others():
            return
        if self.nr_conns + len(self._leaving) >= self.worker_connections - 1:
            self._make_room()
        try:
            super().accept(listener)
        except OSError as exc:
            if exc.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self.log.warning("action=no_files_left connections=%s", self.nr_conns)
            if not self._make_room():
                time.sleep(0.1)  # the listener stays readable: do not spin

    def _leaves_it_to_others(self) -> bool:
        """The listener stays readable, so we are asked again at once, until it is taken or our patience ends."""
        if self.shares is None or self.nr_conns <= self.shares.fewest():
            return False
        now = monotonic()
        if now < self._patient_from:
            return False
        before, self._counts = self._counts, self.shares.counts()
        if not before or any(map(gt, self._counts, before)):  # it was taken: this is another one
            self._yielded = now
        if now - self._yielded > YIELD_SECONDS:
            self._counts, self._patient_from = (), now + IMPATIENT_SECONDS
            return False
        time.sleep(YIELD_STEP)
        return True

    def enqueue_req(self, conn: Any) -> None:
        """gunicorn calls it when a connection is new, readable, or has more in its buffer."""
        if self.cfg.is_ssl:
            super().enqueue_req(conn)
            return
        if hub.current() is not None:  # who sends without end gets a turn like everyone
            self.method_queue.defer(self.enqueue_req, conn)
            return
        if conn.sock.gettimeout() != 0.0:  # a system call less where it is set already
            conn.sock.setblocking(False)
        if conn.parser is None:
            conn.close = partial(self._close, conn)
            _limit_waits(conn.sock)
            conn.parser = http.get_parser(self.cfg, conn.sock, conn.client)
        inbox = Inbox(conn.parser.unreader.take_buffered())
        if not self._gather(conn, inbox):
            self._waiting[conn] = inbox
            self.poller.register(conn.sock, EVENT_READ, partial(self._on_more, conn))

    def on_client_socket_readable(self, conn: Any, client: socket.socket) -> None:
        if client.fileno() >= 0:  # else it was closed to make room, among the events of this very turn
            super().on_client_socket_readable(conn, client)

    def murder_pending(self) -> None:
        """Called about once a second."""
        super().murder_pending()
        left = monotonic() - LINGER_SECONDS
        for conn in [conn for conn, since in self._leaving.items() if since < left]:
            self._leave(conn)
        oldest = monotonic() - (REQUEST_SECONDS if self.alive else STOPPING_SECONDS)
        for conn in [conn for conn, inbox in self._waiting.items() if inbox.since < oldest]:
            self._forget(conn)
            self._drop(conn)

    def _on_more(self, conn: Any, sock: socket.socket) -> None:
        inbox = self._waiting.get(conn)
        if inbox is not None and self._gather(conn, inbox, forget=True):
            self._waiting.pop(conn, None)

    def _gather(self, conn: Any, inbox: Inbox, *, forget: bool = False) -> bool:
        """Read what there is. True: the connection needs no more waiting, for it has a thread now or has ended."""
        ended = False
        if not inbox.is_whole():
            try:
                chunk = conn.sock.recv(GATHERED)
                inbox.add(chunk)
                ended = not chunk
            except BlockingIOError:
                return False
            except OSError:
                ended = True
            if inbox.is_too_large():
                ended = True
                _say(conn.sock, b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n")
            if not (ended or inbox.is_whole()):
                if inbox.takes_up_expectation():
                    _say(conn.sock, b"HTTP/1.1 100 Continue\r\n\r\n")
                return False
        if forget:
            self._forget(conn)
        if ended:
            self._drop(conn)
        else:
            conn.parser.unreader.unread(bytes(inbox.data))
            conn.data_ready = True
            slow = any(one in inbox.data for one in self.slow)
            if not slow and inbox.is_whole_for(self.quick) and _has_room(conn.sock):
                _limit_reads(conn, QUICK_SECONDS)
                self._hub.spawn(partial(self._serve, conn))
            else:
                _limit_reads(conn, THREAD_SECONDS)
                self._hand_over(conn, inbox)
        return True

    def _hand_over(self, conn: Any, inbox: Inbox) -> None:
        """As gunicorn's own `enqueue_req` does it, but to one of two pools."""
        waits = self.outward is not None and self.outward.fullmatch(inbox.line())
        done = (self._outward_pool if waits else self.tpool).submit(self.handle, conn)
        done.add_done_callback(lambda future: self.method_queue.defer(self.finish_request, conn, future))

    def _serve(self, conn: Any) -> None:
        """In the loop's own thread, what a thread of the pool does with others."""
        self.finish_request(conn, _Done(self.handle(conn)))

    def _make_room(self) -> bool:
        """Close the connection that has waited longest for its client: to close, for the rest of a request, or idle."""
        if self._leaving:
            self._leave(next(iter(self._leaving)))
            return True
        if self._waiting:
            conn = next(iter(self._waiting))
            self._forget(conn)
        elif self.keepalived_conns:
            conn = self.keepalived_conns.popleft()
            self.poller.unregister(conn.sock)
        else:
            return False
        self._drop(conn)
        return True

    def _close(self, conn: Any, graceful: bool = False) -> None:
        """In place of the connection's own. Gracefully: without a reset, by which the client might lose the answer."""
        if graceful and not self.cfg.is_ssl:
            try:
                conn.sock.shutdown(socket.SHUT_WR)
                conn.sock.setblocking(False)
                self.poller.register(conn.sock, EVENT_READ, partial(self._on_last_words, conn))
                self._leaving[conn] = monotonic()
                return
            except (OSError, KeyError, ValueError):
                pass  # it is gone already
        util.close(conn.sock)

    def _on_last_words(self, conn: Any, sock: socket.socket) -> None:
        try:
            ended = not sock.recv(GATHERED)
        except OSError:
            ended = True
        if ended:
            self._leave(conn)

    def _leave(self, conn: Any) -> None:
        if self._leaving.pop(conn, None) is not None:
            self.poller.unregister(conn.sock)
            util.close(conn.sock)

    def _forget(self, conn: Any) -> None:
        self._waiting.pop(conn, None)
        self.poller.unregister(conn.sock)

    def _drop(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()


class _Done:
    """The part of a Future that `finish_request` asks for."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def cancelled(self) -> bool:
        return False

    def result(self) -> Any:
        return self._value


def _has_room(sock: socket.socket) -> bool:
    """Whether a third of the send buffer is free: always, unless the client sends requests and reads no answers."""
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(0))


def _say(sock: socket.socket, line: bytes) -> None:
    with suppress(OSError):  # it has gone, or does not read
        sock.send(line)


def _limit_waits(sock: socket.socket) -> None:
    """By the kernel, since gunicorn sets time-outs of Python's own back."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(THREAD_SECONDS))


def _limit_reads(conn: Any, seconds: float) -> None:
    if getattr(conn, "read_seconds", None) != seconds:
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))
        conn.read_seconds = seconds


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
