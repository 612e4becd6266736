"""A server far away: what is left of `connections / round trip time`, the most that one round trip an email allows."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from smtplib import SMTP

from benchmarks.bench import Bench
from benchmarks.daemon import CONNECTIONS, add_config, check_all_sent, relay
from benchmarks.loads.backlog import fill
from benchmarks.processes import running, wait_for_port
from benchmarks.sink import sink
from tests.support.daemon import free_port

ROUND_TRIPS = (0, 50, 200)  # ms
NEARBY = 500.0  # emails for each second of sending, where the distance sets no limit


@contextmanager
def far(folder: Path, target: int, milliseconds: int) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.delay_proxy", str(port), str(target), str(milliseconds)]
    with running(command, folder / "proxy.log"):
        wait_for_port(port)
        yield port


def far_away(bench: Bench) -> None:
    for milliseconds in ROUND_TRIPS:
        at(bench, milliseconds)


def at(bench: Bench, milliseconds: int) -> None:
    """Draining a backlog with as many delivery threads as connections: from the resumption to the last email, and
    the pace in between, after connections are open and before mail runs out (from a tenth to nine tenths)."""
    pace = CONNECTIONS / (milliseconds / 1000) if milliseconds else NEARBY
    count = int(pace * bench.sizes.distant)
    with (
        sink(bench.folder) as target,
        far(bench.folder, target.port, milliseconds) as port,
        relay(bench.folder, None, queue_workers=CONNECTIONS) as daemon,
    ):
        add_config(daemon, port)
        fill(daemon, count)
        trip = round_trip(port)
        bench.record(f"distance.{milliseconds}.round_trip_ms", trip * 1e3)
        began = time.time()
        daemon.post("/api/queue/resume")
        first, last = (target.wait_for(count * tenths // 10) for tenths in (1, 9))
        ended = target.wait_for(count)
        check_all_sent(daemon, target)
    bench.record(f"distance.{milliseconds}", (count * 9 // 10 - count // 10) / (last - first))
    bench.record(f"distance.{milliseconds}.whole", count / (ended - began))
    if milliseconds:
        bench.record(f"distance.{milliseconds}.limit", CONNECTIONS / trip)


def round_trip(port: int) -> float:
    """What a NOOP takes, in seconds."""
    took = []
    with SMTP("127.0.0.1", port, local_hostname="script.test") as server:
        for _ in range(9):
            began = time.monotonic()
            server.noop()
            took.append(time.monotonic() - began)
    return statistics.median(took)
