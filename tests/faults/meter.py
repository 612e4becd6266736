"""What the processes of a daemon use, second by second."""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import dataclass, field

import psutil

from tests.support.daemon import Daemon

WARM_UP = 15.0  # seconds in which a new process takes what it needs


@dataclass
class Life:
    """What one worker process used, each second."""

    began: float
    memory: list[int] = field(default_factory=list)  # bytes resident
    files: list[int] = field(default_factory=list)

    def quarters(self, values: list[int]) -> tuple[float, float]:
        quarter = max(1, len(values) // 4)
        return statistics.median(values[:quarter]), statistics.median(values[-quarter:])


class Meter(threading.Thread):
    def __init__(self, daemon: Daemon) -> None:
        super().__init__(daemon=True)
        self._daemon = daemon
        self.lives: dict[int, Life] = {}
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(1.0):
            try:
                for worker in self._daemon.workers():
                    life = self.lives.setdefault(worker.pid, Life(time.monotonic()))
                    if time.monotonic() - life.began > WARM_UP:
                        life.memory.append(worker.memory_info().rss)
                        life.files.append(worker.num_fds())
            except (psutil.Error, AssertionError):
                continue

    @property
    def longest(self) -> Life:
        return max(self.lives.values(), key=lambda one: len(one.memory))
