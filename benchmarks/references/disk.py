"""What the disk makes of a commit: 4 KB appended and fsynced, median."""

from __future__ import annotations

import os
import statistics
import time

from benchmarks.bench import Bench

WRITES = 200


def fsync(bench: Bench) -> None:
    took = []
    with (bench.folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(WRITES):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    bench.record("fsync", statistics.median(took) * 1e3)
