"""What a claim takes on a database as it is: the choice of a config, and a batch leased with synchronous=FULL.

    python -m benchmarks.claim DATABASE      prints the median in ms

Each batch is given back, so that every claim meets the same queue. The queue may be paused; it is so again afterwards.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import models
from models.database import database, run, write
from models.service import Instance
from services import claim as claims
from services import record, switches
from utils.clock import now_ms

ROUNDS = 300
BATCH = 10
INSTANCE = 1_000_000  # an id that no daemon here has


def median_claim() -> float:
    """Seconds."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        (config,) = claims.candidates(now_ms())
        claim = claims.claim(config.id, INSTANCE, now_ms(), BATCH, connected=True)
        took.append(time.perf_counter() - began)
        assert claim is not None and len(claim.emails) == BATCH
        record.give_back([one.id for one in claim.emails], claim.lease, now_ms())
    return statistics.median(took)


def main() -> None:
    models.initialize_db(Path(sys.argv[1]))
    write(lambda: Instance.create(id=INSTANCE, boot_id="b", lock_name="none", host="h", pid=1, started_at=0))
    switches.resume_relay(now_ms())
    print(median_claim() * 1e3)
    switches.pause_relay(now_ms())
    write(lambda: run("DELETE FROM instances WHERE id = ?", INSTANCE))
    database.close_writer()
    database.close()


if __name__ == "__main__":
    main()
