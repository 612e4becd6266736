"""smtp-sink of Postfix: takes mail as fast as one process can, throws it away, and counts it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import running, wait_for_port
from tests.support.daemon import free_port

POLL_SECONDS = 0.005
STALLED_SECONDS = 60.0

_MESSAGES = re.compile(rb"mesg=(\d+)")


class Sink:
    """Its running counters are appended to a file, of which only the end is read."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log

    def count(self) -> int:
        """Messages answered with 250 so far."""
        with self._log.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - 200))
            found = _MESSAGES.findall(log.read())
        return int(found[-1]) if found else 0

    def wait_for(self, count: int) -> float:
        """time.time() when `count` messages were there, 5 ms late at most. TimeoutError when a minute brings none."""
        seen, since = -1, time.monotonic()
        while (now := self.count()) < count:
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > STALLED_SECONDS:
                raise TimeoutError(f"the sink has {now} of {count} messages and gets no more")
            time.sleep(POLL_SECONDS)
        return time.time()


@contextmanager
def sink(folder: Path) -> Iterator[Sink]:
    port = free_port()
    log = folder / f"sink-{port}.log"
    whom = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to stay root
    with running(["smtp-sink", *whom, "-c", "-h", "sink.test", f"127.0.0.1:{port}", "1024"], log):
        wait_for_port(port)
        yield Sink(port, log)
    log.unlink()
