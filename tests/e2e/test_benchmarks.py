"""The benchmark still runs on the code as it is: its small parts that need no program from outside Python. Their
figures mean nothing here."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

from pysqlite3 import dbapi2 as sqlite

from benchmarks.bench import Bench, Sizes
from benchmarks.loads import distance, growth, idle, inbound
from benchmarks.profile import part_of
from benchmarks.references import bulk_insert
from benchmarks.tables import tables
from benchmarks.timed_sink import timed_sink
from tests.support.tools import need

SMALL = Sizes(rounds=1, rows=60, idle=2, inbox=100)


def test_one_idle_email_is_timed_beside_smtplib(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SMALL)
    idle.one_at_a_time(bench)
    assert {"d.relay", "d.smtplib_new", "d.smtplib_kept"} <= set(bench.figures)
    assert "(d) one idle POST, beyond smtplib with a new connection" in tables(bench.figures)


def test_a_long_queue_and_history_are_copies_that_the_relay_can_read_and_claim(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SMALL)
    growth.look(bench, "growth.60", growth.made(tmp_path, 60, 30))
    assert "| 60 queued |" in tables(bench.figures)


def test_the_bulk_insert_writes_every_row_that_accepting_wrote(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SMALL)
    rows = bulk_insert.stored_rows(bench, SMALL.rows)
    assert {table: len(found) for table, found in rows.items()} == dict.fromkeys(
        bulk_insert.TABLES, SMALL.rows
    )
    assert bulk_insert.insert(bench, rows, 25) > 0
    (database,) = (path for path in tmp_path.rglob("mailferry.db"))
    with closing(sqlite.connect(str(database))) as connection:
        for table in bulk_insert.TABLES:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (SMALL.rows,)


def test_a_mailbox_is_synced_and_read_beside_mbsync(tmp_path: Path) -> None:
    need("mbsync", "isync")
    bench = Bench(tmp_path, SMALL)
    inbound.inbound(bench)
    table = tables(bench.figures)
    assert "| first sync of a mailbox, to mbsync (times as long) |" in table
    assert bench.figures["inbound.commands"] <= [3.0]
    assert all(f"| {name} | ≤ 50 ms |" in table for name in ("a page of the mailbox", "a page of a search"))


def test_the_proxy_delays_and_changes_nothing(tmp_path: Path) -> None:
    with timed_sink() as target, distance.far(tmp_path, target.port, 40) as port:
        assert distance.round_trip(port) >= 0.04
        with socket.create_connection(("127.0.0.1", port)) as client:
            many = 20_000
            client.sendall(b"NOOP\r\n" * many + b"QUIT\r\n")
            answers = b"".join(iter(lambda: client.recv(65_536), b"")).splitlines()
    assert answers == [b"220 sink.test ESMTP", *[b"250 2.0.0 ok"] * many, b"221 bye"]


def test_a_target_is_met_by_the_median_of_the_pairs() -> None:
    figures = {
        "a.end_to_end": [300.0, 500.0, 10.0],
        "postfix": [100.0, 300.0, 5.0],
        "c.1": [9.0],
        "smtplib": [10.0],
    }
    table = tables(figures)
    assert "| (a) end to end, to Postfix | ≥ 2 times | 2.00 | 1.67 to 3.00 | met |" in table
    assert "| (c) one process, to the smtplib loop | ≥ 1 times | 0.90 |  | **missed** |" in table


def test_a_sample_counts_for_its_innermost_known_frame() -> None:
    outer = "Worker.run (/x/workers/worker.py);Delivery.run (/x/services/deliver.py)"
    assert part_of(outer) == "delivery loop"
    assert part_of(f"{outer};commit (/x/services/record.py);dumps (/lib/json/__init__.py)") == "storage"
    assert part_of("insert (/x/services/submission.py);dumps (/lib/json/__init__.py)") == "storage"
    assert part_of("check (/x/services/submission.py)") == "validation"
    assert part_of("main (/lib/runpy.py)") == "the rest"
