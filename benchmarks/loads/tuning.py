"""What the settings do: processes, request threads and delivery threads, one changed at a time."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.loads.backlog import drain
from benchmarks.loads.stream import Stream, accepting, end_to_end, single_bodies

# WEB_CONCURRENCY, WEB_THREADS, QUEUE_WORKERS
VARIANTS = [
    (1, 8, 1),
    (2, 8, 1),
    (3, 8, 1),
    (2, 4, 1),
    (2, 16, 1),
    (1, 8, 2),
    (2, 8, 2),
]


def tuning(bench: Bench) -> None:
    sizes = bench.sizes
    for processes, threads, workers in VARIANTS:
        settings = {"web_concurrency": processes, "web_threads": threads, "queue_workers": workers}
        key = f"tuning.{processes}-{threads}-{workers}"
        stream = Stream(key, single_bodies(bench.folder))
        accepting(bench, stream, sizes.tuned, **settings)
        end_to_end(bench, stream, sizes.tuned, **settings)
        drain(bench, f"{key}.draining", sizes.backlog // 10, **settings)
