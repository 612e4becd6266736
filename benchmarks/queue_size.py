"""Does the length of the queue cost anything? Claim time, start time and memory at 1,000 and at 1,000,000 emails.

    python -m benchmarks.queue_size [--emails 1000000]

Claims commit with synchronous=FULL. Each is given back, so that every one meets the same queue.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from models.database import database, row, run, write
from models.service import Instance
from services import claim as claims
from services import record
from tests.support.daemon import Daemon
from tests.support.relay import add_config, relay_in
from utils.clock import now_ms

ROUNDS = 300
BATCH = 10


def fill(count: int, lane: int, pinned: int | None) -> None:
    """`count` waiting emails with a recipient and 2 KB of content each, as accepting them would have written."""
    now = now_ms()
    number = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"

    def job() -> None:
        found = row("SELECT coalesce(max(id), 0) FROM emails")
        assert found is not None
        base = found[0]
        run(
            f"INSERT INTO emails (id, tenant, user, state, priority, available_at, sort_at, lane_id, smtp_config_id,"
            f" subject, sender, sender_name, message_id, size, recipient_count, on_unknown, retry_count, lost_count,"
            f" due_at, created_at, updated_at, has_content) {number} SELECT ? + i, '', '', 'queued', 3, ? + i, ? + i,"
            " ?, ?, 'Subject ' || i, '', '', '<' || (? + i) || '@bench.test>', 2000, 1, 'resend', 0, 0, ?, ?, ?, 1"
            " FROM n",
            count, base, now - count, now - count, lane, pinned, base, now, now, now,
        )  # fmt: skip
        run(
            f"INSERT INTO recipients (email_id, position, kind, name, address, state) {number}"
            " SELECT ? + i, 0, 'to', '', 'r' || i || '@example.com', 'pending' FROM n", count, base,
        )  # fmt: skip
        run(
            f"INSERT INTO contents (email_id, text) {number} SELECT ? + i, printf('%02000d', i) FROM n",
            count,
            base,
        )

    write(job, durable=True)


def median_claim(config: int) -> float:
    """Seconds for the choice of a config and the claim of a batch."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        claims.candidates(now_ms())
        claim = claims.claim(config, 1, now_ms(), BATCH, connected=True)
        took.append(time.perf_counter() - began)
        assert claim is not None and len(claim.emails) == BATCH
        record.give_back([one.id for one in claim.emails], claim.lease, now_ms())
    return statistics.median(took)


def measure(free: int, pinned: int) -> float:
    from services.routing import lane_for

    with tempfile.TemporaryDirectory() as folder, relay_in(Path(folder)):
        Instance.create(id=1, boot_id="b", lock_name="none", host="h", pid=1, started_at=0)
        config = add_config(2501)
        spent = add_config(2502, hourly_limit=1)
        write(lambda: run("INSERT INTO usage VALUES (?, ?, 1, 1)", spent, now_ms() // 60_000))
        write(lambda: run("UPDATE smtp_configs SET weight = 0 WHERE id = ?", spent))
        if pinned:
            fill(pinned, write(lambda: lane_for("", "", spent)), spent)
        fill(free, write(lambda: lane_for("", "", None)), None)
        result = median_claim(config)
        database.close_writer()
        return result


def daemon_at(count: int) -> tuple[float, float]:
    """(seconds to ready, MB resident after a minute's worth of looking at the queue)"""
    from services.routing import lane_for

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        with relay_in(data):
            add_config(2501, hourly_limit=1)
            write(lambda: run("INSERT INTO usage VALUES (1, ?, 1, 1)", now_ms() // 60_000 + 5))
            fill(count, write(lambda: lane_for("", "", None)), None)
        daemon = Daemon(Path(folder))
        began = time.perf_counter()
        with daemon:
            ready = time.perf_counter() - began
            for _ in range(20):
                daemon.get("/api/queue")
                daemon.get("/api/emails/status/queued?limit=100")
                daemon.get("/api/emails/500/why")
            memory = max(psutil.Process(one.pid).memory_info().rss for one in daemon.workers()) / 1e6
        return ready, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emails", type=int, default=1_000_000)
    count = parser.parse_args().emails
    small = measure(1_000, 0)
    large = measure(count, 0)
    beside = measure(1_000, count - 1_000)
    print("synchronous=FULL, batch of", BATCH)
    print(f"claim at 1,000 queued:                 {small * 1e3:.3f} ms (reference)")
    print(f"claim at {count:,} queued:             {large * 1e3:.3f} ms = {large / small:.2f}x")
    print(f"... {count - 1_000:,} of them pinned, spent: {beside * 1e3:.3f} ms = {beside / small:.2f}x")
    ready, memory = daemon_at(count)
    print(f"daemon at {count:,} queued: ready in {ready:.2f} s, {memory:.0f} MB resident")


if __name__ == "__main__":
    main()
