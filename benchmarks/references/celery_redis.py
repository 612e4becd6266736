"""Celery on Redis, end to end: POST to a Flask endpoint, a task an email, smtplib to the sink.

Redis runs with the persistence it has by default: a snapshot at most every minute, no append-only file. What it holds
is lost when it is killed, and so is a task that was under way: none of this is durable.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import redis

from benchmarks import wrk
from benchmarks.bench import Bench
from benchmarks.loads.stream import single_bodies
from benchmarks.processes import running, wait_for_port, wait_until
from benchmarks.references.echo import COMMAND, environment
from benchmarks.sink import sink
from tests.support.daemon import free_port

CONCURRENCY = 2  # prefork processes, one a core


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """The port of a server with the settings it has when it is given none."""
    home, port = Path(mkdtemp(dir=folder)), free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(home)]
    with running(command, home / "log"):
        wait_for_port(port)
        yield port


def celery(bench: Bench) -> None:
    with sink(bench.folder) as target, redis_server(bench.folder) as broker:
        port, env = environment(bench, BROKER=f"redis://127.0.0.1:{broker}/0", SMTP_PORT=str(target.port))
        worker = [sys.executable, "-m", "celery", "-A", "benchmarks.references.celery_app", "worker",
                  "--pool", "prefork", "--concurrency", str(CONCURRENCY), "--loglevel", "INFO"]  # fmt: skip
        web = [*COMMAND, "benchmarks.references.celery_app:create_app()"]
        log = bench.folder / "celery.log"
        with running(worker, log, env=env), running(web, bench.folder / "celery-web.log", env=env):
            wait_for_port(port)
            wait_until(lambda: b" ready." in log.read_bytes(), "Celery's worker", 30)
            began = time.time()
            posted = wrk.post(
                f"http://127.0.0.1:{port}/api/emails", single_bodies(bench.folder),
                connections=16, seconds=bench.sizes.celery,
            )  # fmt: skip
            waiting = _waiting(broker)
            ended = target.wait_for(posted.requests)
            wait_until(lambda: not _waiting(broker), "the last tasks", 30)
            bench.record("celery", target.count() / (ended - began))
            bench.record("celery.accepting", posted.rate)
            bench.record("celery.remainder", waiting)


def _waiting(broker: int) -> int:
    with redis.Redis(port=broker) as client:
        return int(client.llen("celery"))
