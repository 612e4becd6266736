"""SQLite's own bulk insert of the rows that accepting batches has written, into a fresh database of the same schema.

Two ways: all in one transaction, and 500 emails in each as the relay commits them. synchronous=FULL in both.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from pysqlite3 import dbapi2 as sqlite

from benchmarks.bench import Bench
from benchmarks.daemon import relay
from benchmarks.loads.backlog import BATCH, fill
from tests.support.relay import relay_in

TABLES = {"emails": "id", "contents": "email_id", "recipients": "email_id"}

Rows = dict[str, list[tuple[Any, ...]]]


def bulk_insert(bench: Bench) -> None:
    count = bench.sizes.rows
    rows = stored_rows(bench, count)
    bench.record("bulk", count / insert(bench, rows, count))
    bench.record("bulk.500", count / insert(bench, rows, BATCH))


def stored_rows(bench: Bench, count: int) -> Rows:
    with relay(bench.folder, None) as daemon:
        daemon.add_config(9)
        fill(daemon, count)
        with closing(sqlite.connect(str(daemon.folder / "data" / "mailferry.db"))) as source:
            return {
                table: list(source.execute(f"SELECT * FROM {table} ORDER BY {key}"))
                for table, key in TABLES.items()
            }


def insert(bench: Bench, rows: Rows, per_transaction: int) -> float:
    """Seconds."""
    home = Path(mkdtemp(dir=bench.folder))
    with relay_in(home):
        pass  # makes the tables
    total = len(rows["emails"])
    with closing(sqlite.connect(str(home / "mailferry.db"), isolation_level=None)) as target:
        for pragma in (
            "journal_mode=wal",
            "synchronous=FULL",
            "cache_size=-32000",
            "wal_autocheckpoint=4000",
        ):
            target.execute(f"PRAGMA {pragma}")
        began = time.perf_counter()
        for start in range(0, total, per_transaction):
            target.execute("BEGIN IMMEDIATE")
            for table, values in rows.items():
                chunk = values[start : start + per_transaction]  # one row an email in each of the tables
                marks = ",".join("?" * len(chunk[0]))
                target.executemany(f"INSERT INTO {table} VALUES ({marks})", chunk)
            target.execute("COMMIT")
        return time.perf_counter() - began
