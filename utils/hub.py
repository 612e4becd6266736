"""Many dialogs in one thread: each runs until it has to wait, and the hub then lets others go on.

A thread a connection would do the same with more threads. But threads that share one interpreter hand it over at every
system call, and those hand-overs took a third of the time of a delivery. A dialog here is a greenlet: plain code that
calls `wait` where it would have slept. What waits for the same costly thing (a commit) is gathered, and done at once.

Everything is called from the hub's own thread, but for `wake`.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from greenlet import getcurrent, greenlet

from utils.clock import monotonic

log = logging.getLogger("mailferry.hub")

IN, OUT = select.POLLIN, select.POLLOUT
SWEEP_SECONDS = 0.05  # how late a deadline may be noticed
MOST_ROUNDS = 4  # in which gathered work is put off, for others to join

_here = threading.local()


def current() -> Hub | None:
    """The hub that the caller may wait in; None outside of a dialog."""
    hub: Hub | None = getattr(_here, "hub", None)
    return hub if hub is not None and getcurrent() is not hub.main else None


class Hub:
    """Make it in the thread that will `turn` it."""

    def __init__(self) -> None:
        self.main = getcurrent()
        self._ready: deque[tuple[greenlet, Any]] = deque()
        self._waiting: dict[int, tuple[greenlet, float]] = {}  # by file descriptor, with the deadline
        self._sleeping: list[tuple[float, int, greenlet]] = []
        self._order = itertools.count()
        self._gathered: dict[Any, list[tuple[greenlet, Any]]] = {}
        self._arrived: deque[tuple[greenlet, Any]] = deque()  # from other threads
        self._poll = select.poll()
        self._bell, self._ring = socket.socketpair()
        self._bell.setblocking(False)
        self._ring.setblocking(False)
        self._poll.register(self._bell, IN)
        self._next_sweep = 0.0
        self._put_off = 0
        self._asleep = self._woken = False
        _here.hub = self

    def close(self) -> None:
        _here.hub = None
        self._bell.close()
        self._ring.close()

    def spawn(self, dialog: Callable[[], None]) -> None:
        """`dialog` begins with the next turn. What it raises is logged."""
        self._ready.append((greenlet(_guarded(dialog), self.main), None))

    def wake(self) -> bool:
        """From any thread: end the wait of `turn`. Whether it did wait."""
        self._woken = True
        asleep = self._asleep
        if asleep:
            with suppress(OSError):  # it rang often enough, or the hub is closed
                self._ring.send(b"!")
        return asleep

    def finish(self) -> None:
        """Let all go on, and do what they wait for, until nobody can: for a loop that listens by itself."""
        self._go()
        while self._gathered:
            self._settle()
            self._go()

    def turn(self, seconds: float) -> None:
        """Let those go on that can; when nobody can, wait for at most so long."""
        self._go()
        self._listen(0.0)
        if self._gathered and (not self._ready or self._put_off >= MOST_ROUNDS):
            self._put_off = 0
            self._settle()
            return
        if self._ready:
            self._put_off += 1
            return
        self._asleep = True
        try:
            self._listen(0.0 if self._woken else seconds)
        finally:
            self._asleep = self._woken = False

    # Called by dialogs.

    def wait(self, fd: int, events: int, deadline: float) -> int:
        """The events that are ready on a descriptor; 0 when the deadline (monotonic) comes first."""
        self._poll.register(fd, events)
        self._waiting[fd] = (getcurrent(), deadline)
        ready: int = self.main.switch()
        return ready

    def sleep(self, seconds: float) -> None:
        heapq.heappush(self._sleeping, (monotonic() + seconds, next(self._order), getcurrent()))
        self.main.switch()

    def gather(self, work: Callable[[list[Any]], Sequence[Any]], item: Any) -> Any:
        """What `work` returns for this item, called with the items of all who wait for the same. It must not raise."""
        self._gathered.setdefault(work, []).append((getcurrent(), item))
        return self.main.switch()

    def in_thread(self, work: Callable[[], Any]) -> Any:
        """What `work` returns or raises, in a thread of its own: for what can only block."""
        threading.Thread(target=self._work, args=(work, getcurrent()), name="opener", daemon=True).start()
        result, error = self.main.switch()
        if error is not None:
            raise error
        return result

    # The hub's own.

    def _go(self) -> None:
        while self._ready:
            who, what = self._ready.popleft()
            who.switch(what)

    def _work(self, work: Callable[[], Any], who: greenlet) -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as exc:
            error = exc
        self._arrived.append((who, (result, error)))
        self.wake()

    def _listen(self, seconds: float) -> None:
        now = monotonic()
        for fd, events in self._poll.poll(max(0.0, self._until(now, seconds) * 1000)):
            if fd == self._bell.fileno():
                self._bell.recv(4096)
            else:
                self._go_on(fd, events)
        while self._arrived:
            self._ready.append(self._arrived.popleft())
        now = monotonic()
        while self._sleeping and self._sleeping[0][0] <= now:
            self._ready.append((heapq.heappop(self._sleeping)[2], None))
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_SECONDS
            for fd in [fd for fd, (_, deadline) in self._waiting.items() if deadline <= now]:
                self._go_on(fd, 0)

    def _until(self, now: float, seconds: float) -> float:
        if self._sleeping:
            seconds = min(seconds, self._sleeping[0][0] - now)
        return min(seconds, SWEEP_SECONDS) if self._waiting else seconds

    def _go_on(self, fd: int, events: int) -> None:
        who, _ = self._waiting.pop(fd)
        self._poll.unregister(fd)
        self._ready.append((who, events))

    def _settle(self) -> None:
        gathered, self._gathered = self._gathered, {}
        for work, those in gathered.items():
            results = work([item for _, item in those])
            self._ready.extend(zip([who for who, _ in those], results, strict=True))


def _guarded(dialog: Callable[[], None]) -> Callable[[Any], None]:
    def run(_: Any) -> None:
        try:
            dialog()
        except Exception:
            log.exception("action=dialog_trouble")

    return run
