"""One run: how much of everything, where its files are, and the figures so far."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

SENDER = "relay@sender.test"


@dataclass(frozen=True, slots=True)
class Sizes:
    """`rounds`: how often the headline figures are taken, in turn with what they are compared with."""

    rounds: int = 3
    accepting: int = 8  # seconds of posting to a paused relay
    posting: int = 15  # seconds of posting while delivery goes on
    batches: int = 5
    backlog: int = 50_000
    messages: int = 10_000  # that a reference sends
    celery: int = 6  # seconds of posting to Celery, which takes several times as long to send it all
    rows: int = 10_000  # emails of the bulk insert
    idle: int = 200
    large: int = 6  # seconds of posting 1 MB
    distant: int = 25  # seconds of sending at the limit of the distance
    queued: tuple[int, ...] = (1_000, 100_000, 1_000_000)
    history: int = 5_000_000  # sent emails behind the shortest of these queues; 0 for none
    profiled: int = 12  # seconds under the profiler
    tuned: int = 4  # seconds of posting with each variant of the settings
    inbox: int = 100_000  # messages of the mailbox that is synced


QUICK = Sizes(
    rounds=1, accepting=3, posting=4, batches=2, backlog=5_000, messages=3_000, celery=2, rows=5_000, idle=50,
    large=2, distant=8, queued=(1_000, 20_000), history=20_000, profiled=5, tuned=2, inbox=2_000,
)  # fmt: skip
TINY = Sizes(
    rounds=1, accepting=1, posting=1, batches=1, backlog=500, messages=300, celery=1, rows=500, idle=5,
    large=1, distant=1, queued=(100, 1_000), history=0, profiled=1, tuned=1, inbox=100,
)  # fmt: skip


@dataclass
class Bench:
    folder: Path
    sizes: Sizes
    figures: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: list[str] = field(default_factory=list)  # parts that could not be measured, and why

    def record(self, key: str, value: float) -> None:
        self.figures[key].append(value)
        print(f"    {key:42} {value:12,.2f}", flush=True)
