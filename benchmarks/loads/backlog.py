"""(c) Draining a stored backlog: from the queue's resumption to the last delivery."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from benchmarks import mail
from benchmarks.bench import Bench
from benchmarks.daemon import accepted, check_all_sent, relay
from benchmarks.sink import sink
from tests.support.daemon import Daemon

BATCH = 500
DISTINCT = 8  # bodies of batches that are made once, and posted in turn


def drain(bench: Bench, processes: int) -> None:
    with sink(bench.folder) as target, relay(bench.folder, target, web_concurrency=processes) as daemon:
        fill(daemon, bench.sizes.backlog)
        began = time.time()
        daemon.post("/api/queue/resume")
        ended = target.wait_for(accepted(daemon))
        check_all_sent(daemon, target)
    bench.record(f"c.{processes}", bench.sizes.backlog / (ended - began))


def fill(daemon: Daemon, count: int) -> None:
    """Pause the queue and put `count` emails in it."""
    daemon.post("/api/queue/pause")
    bodies = [mail.batch(number, min(BATCH, count)) for number in range(DISTINCT)]
    for number in range(0, count, BATCH):
        body = bodies[number // BATCH % DISTINCT]
        daemon.post("/api/emails/batch", {**body, "emails": body["emails"][: count - number]})


one_process: Callable[[Bench], None] = partial(drain, processes=1)
two_processes: Callable[[Bench], None] = partial(drain, processes=2)
