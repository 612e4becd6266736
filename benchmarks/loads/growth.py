"""Does a long queue, or a long history, cost anything? Claim, accept and status, size on disk and memory.

The database is filled by copying one email that the relay itself has stored, so that rows are as it writes them.
"""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp

import psutil
from pysqlite3 import dbapi2 as sqlite

from benchmarks import mail
from benchmarks.bench import Bench
from benchmarks.daemon import add_config
from benchmarks.processes import ROOT, wait_until
from benchmarks.timed_sink import timed_sink
from tests.support.daemon import Daemon

NUMBER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"


def growth(bench: Bench) -> None:
    """Databases of all lengths are made first, and then looked at in turn, round by round."""
    sizes = bench.sizes
    lengths = [(queued, 0) for queued in sizes.queued]
    if sizes.history:
        lengths.append((sizes.queued[0], sizes.history))
    daemons = {(queued, sent): made(bench.folder, queued, sent) for queued, sent in lengths}
    for _ in range(sizes.rounds):
        for (queued, sent), daemon in daemons.items():
            look(bench, f"growth.{queued}" + (f"+{sent}" if sent else ""), daemon)
    for daemon in daemons.values():
        shutil.rmtree(daemon.folder)


def made(folder: Path, queued: int, sent: int = 0) -> Daemon:
    """A daemon that is not running, with `queued` emails that wait, after `sent` that went; the queue is paused."""
    home = Path(mkdtemp(dir=folder))
    database = home / "data" / "mailferry.db"
    daemon = Daemon(home, min_free_mb=200)
    with timed_sink() as target, daemon:
        add_config(daemon, target.port)
        daemon.post("/api/emails", mail.body(1, unique=False))
        target.arrival()
        wait_until(lambda: _holds(database, "sent"), "the first email to be recorded", 10)
        daemon.post("/api/queue/pause")
        daemon.post("/api/emails", mail.body(2, unique=False))
    if sent:
        fill_history(database, sent)
    fill_queue(database, queued)
    return daemon


def look(bench: Bench, key: str, daemon: Daemon) -> None:
    database = daemon.folder / "data" / "mailferry.db"
    bench.record(f"{key}.claim", claim_ms(database))
    began = time.monotonic()
    with daemon:
        bench.record(f"{key}.ready_s", time.monotonic() - began)
        probes, chance = bench.sizes.idle, random.Random(1)
        newest = daemon.post("/api/emails", mail.body(3, unique=False))["email_id"]
        bench.record(
            f"{key}.accept",
            median_ms(probes, lambda n: daemon.post("/api/emails", mail.body(n, unique=False))),
        )
        bench.record(
            f"{key}.status",
            median_ms(probes, lambda _: daemon.get(f"/api/emails/{chance.randint(1, newest)}")),
        )
        bench.record(f"{key}.queue_page", median_ms(10, lambda _: daemon.get("/api/queue")))
        bench.record(f"{key}.memory_mb", memory_mb(daemon))
    bench.record(f"{key}.disk_mb", database.stat().st_size / 1e6)


def memory_mb(daemon: Daemon) -> float:
    """Of all its processes; pages that they share count once (PSS)."""
    (master,) = {worker.parent() for worker in daemon.workers()}
    assert master is not None
    processes: list[psutil.Process] = [master, *daemon.workers()]
    return sum(float(one.memory_full_info().pss) for one in processes) / 1e6


def _holds(database: Path, state: str) -> bool:
    with closing(sqlite.connect(str(database), timeout=30)) as connection:
        return connection.execute("SELECT 1 FROM emails WHERE state = ?", (state,)).fetchone() is not None


def median_ms(count: int, probe: Callable[[int], object]) -> float:
    took = []
    for number in range(count):
        began = time.monotonic()
        probe(number)
        took.append(time.monotonic() - began)
    return statistics.median(took) * 1e3


def claim_ms(database: Path) -> float:
    """In a process of its own, on the database as the daemon left it."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.claim", str(database)], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"benchmarks.claim: {done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


# Rows.


def fill_queue(database: Path, count: int) -> None:
    """`count` copies of the queued email."""
    _copy(database, "queued", count, ("emails", "contents", "recipients"), {
        "available_at": "available_at + i", "sort_at": "sort_at + i", "created_at": "created_at + i",
    })  # fmt: skip


def fill_history(database: Path, count: int) -> None:
    """`count` copies of the sent email, whose contents retention has erased."""
    _copy(database, "sent", count, ("emails", "recipients", "attempts"), {
        "has_content": "0", "finished_at": "finished_at + i", "created_at": "created_at + i",
    })  # fmt: skip


def _copy(database: Path, state: str, count: int, tables: tuple[str, ...], changes: dict[str, str]) -> None:
    """Without fsync or journal: nobody else has the file open, and a half-filled one is thrown away."""
    with closing(sqlite.connect(str(database), isolation_level=None)) as connection:
        for pragma in ("journal_mode=off", "synchronous=off", "cache_size=-400000", "locking_mode=exclusive"):
            connection.execute(f"PRAGMA {pragma}")
        (model,) = connection.execute("SELECT id FROM emails WHERE state = ? LIMIT 1", (state,)).fetchone()
        (base,) = connection.execute("SELECT max(id) FROM emails").fetchone()
        connection.execute("BEGIN")
        for table in tables:
            columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
            own = {
                "id": f"{base} + i" if table == "emails" else None,
                "email_id": f"{base} + i",
                "message_id": "'<' || i || '.copy@bench.test>'",
                "address": "'customer' || i || '@example.com'",
                **changes,
            }
            kept = [name for name in columns if own.get(name, name) is not None]
            key = "id" if table == "emails" else "email_id"
            connection.execute(
                f"{NUMBER} INSERT INTO {table} ({', '.join(kept)}) SELECT {', '.join(own.get(n) or n for n in kept)}"
                f" FROM n, {table} WHERE {table}.{key} = ?", (count, model),
            )  # fmt: skip
        connection.execute("COMMIT")
        connection.execute("PRAGMA locking_mode=normal")
        connection.execute("PRAGMA journal_mode=wal")
