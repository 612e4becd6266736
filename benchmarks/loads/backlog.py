"""(c) Draining a stored backlog: from the queue's resumption to the last delivery."""

from __future__ import annotations

import time

from benchmarks import mail
from benchmarks.bench import Bench
from benchmarks.daemon import check_all_sent, relay
from benchmarks.sink import sink
from tests.support.daemon import Daemon

BATCH = 500
DISTINCT = 8  # bodies of batches that are made once, and posted in turn


def drain(bench: Bench, key: str, count: int, **settings: int) -> None:
    with sink(bench.folder) as target, relay(bench.folder, target, **settings) as daemon:
        fill(daemon, count)
        began = time.time()
        daemon.post("/api/queue/resume")
        ended = target.wait_for(count)
        check_all_sent(daemon, target)
    bench.record(key, count / (ended - began))


def one_process(bench: Bench) -> None:
    drain(bench, "c.1", bench.sizes.backlog, web_concurrency=1)


def two_processes(bench: Bench) -> None:
    drain(bench, "c.2", bench.sizes.backlog, web_concurrency=2)


def fill(daemon: Daemon, count: int) -> None:
    """Pause the queue and put `count` emails in it."""
    daemon.post("/api/queue/pause")
    bodies = [mail.batch(number, min(BATCH, count)) for number in range(DISTINCT)]
    for number in range(0, count, BATCH):
        body = bodies[number // BATCH % DISTINCT]
        daemon.post("/api/emails/batch", {**body, "emails": body["emails"][: count - number]})
