"""A TCP proxy that holds every byte back for half a round trip each way, and limits nothing else.

    python -m benchmarks.delay_proxy PORT TARGET_PORT ROUND_TRIP_MS

Bytes wait in memory, however many, and leave in order when they are due, so that pipelining stays what it is. Opening
a connection costs no round trip here, as it would over a real distance.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time
from collections import deque

CHUNK = 1 << 18


class Pipe:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, target: socket.socket, delay: float) -> None:
        self.source, self.target, self._delay = source, target, delay
        self._waiting: deque[tuple[float, bytes]] = (
            deque()
        )  # (when it is due, bytes); empty bytes are the end
        self.reading = True
        self.done = False

    def read(self) -> None:
        data = b""
        with contextlib.suppress(ConnectionError):
            data = self.source.recv(CHUNK)
        self._waiting.append((time.monotonic() + self._delay, data))
        self.reading = bool(data)

    def due(self) -> float | None:
        return self._waiting[0][0] if self._waiting else None

    def write(self, now: float) -> bool:
        """Send what is due; False when the target takes no more for now."""
        while self._waiting and self._waiting[0][0] <= now:
            due, data = self._waiting.popleft()
            try:
                if not data:
                    self.done = True
                    self.target.shutdown(socket.SHUT_WR)
                    return True
                sent = self.target.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.done, self.reading = True, False
                return True
            if sent < len(data):
                self._waiting.appendleft((due, data[sent:]))
                return False
        return True


def serve(port: int, target: int, delay: float) -> None:
    listener = socket.create_server(("127.0.0.1", port), backlog=256)
    pipes: list[Pipe] = []
    while True:
        now = time.monotonic()
        blocked = [pipe.target for pipe in pipes if not pipe.done and not pipe.write(now)]
        pipes = _without_ended(pipes)
        readable = [pipe.source for pipe in pipes if pipe.reading]
        ready, _, _ = select.select([listener, *readable], blocked, [], _until_next(pipes, blocked))
        for pipe in [one for one in pipes if one.source in ready]:
            pipe.read()
        if listener in ready:
            pipes += _connect(listener, target, delay)


def _until_next(pipes: list[Pipe], blocked: list[socket.socket]) -> float | None:
    """Seconds; select.select takes them to the microsecond, where epoll rounds up to a whole millisecond."""
    dues = [due for pipe in pipes if pipe.target not in blocked and (due := pipe.due()) is not None]
    return max(0.0, min(dues) - time.monotonic()) if dues else None


def _connect(listener: socket.socket, target: int, delay: float) -> list[Pipe]:
    near, _ = listener.accept()
    try:
        far = socket.create_connection(("127.0.0.1", target))
    except OSError:
        near.close()
        return []
    for one in (near, far):
        one.setblocking(False)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return [Pipe(near, far, delay), Pipe(far, near, delay)]


def _without_ended(pipes: list[Pipe]) -> list[Pipe]:
    """Pipes come in pairs; both ends are closed when both have ended."""
    kept: list[Pipe] = []
    for there, back in zip(pipes[::2], pipes[1::2], strict=True):
        if there.done and back.done:
            there.source.close()
            there.target.close()
        else:
            kept += (there, back)
    return kept


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 2000)
