"""The worker threads of a process: who is at hand, who waits for a silent server, and who stands in for them.

A thread that waits costs next to nothing, but their number must have a bound, and no bound may let a few silent
servers use it up: the mail of all others would wait with them.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from services.claim import Candidate
from workers.worker import Worker

STAND_INS = 3  # for each worker, at most
FEWEST_STAND_INS = 16
WAITING_PER_CONFIG = 2


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many workers wait for silent servers."""

    staff: int  # workers and stand-ins, at most
    workers: int
    configs: Counter[int] = field(default_factory=Counter)
    tenants: Counter[str] = field(default_factory=Counter)
    unconnected: set[int] = field(default_factory=set)  # configs whose server has not even let us in

    def is_enough(self, config: Candidate) -> bool:
        """Whether no further worker may go to this config now.

        Two may wait for one server, a single one until it has let that in; half of the staff for those of one
        tenant. Once all stand-ins wait, those left at hand are for configs and tenants that keep nobody waiting.
        """
        here, theirs = self.configs[config.id], self.tenants[config.tenant]
        if here >= WAITING_PER_CONFIG or config.id in self.unconnected or theirs >= self.staff // 2:
            return True
        return self.tenants.total() >= self.staff - self.workers and (here > 0 or theirs > 0)


class Staff:
    def __init__(self, workers: int, hire: Callable[[int], Worker]) -> None:
        self._count = workers
        self._hire = hire
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self.members: list[Worker] = []

    @property
    def _most(self) -> int:
        return self._count + max(self._count * STAND_INS, FEWEST_STAND_INS)

    def top_up(self) -> None:
        """Keep as many threads at hand as there are to be workers."""
        with self._lock:
            self.members = [one for one in self.members if one.is_alive()]
            waiting = sum(one.is_kept_waiting() for one in self.members)
            wanted = min(self._count + waiting, self._most)
            hired = [self._hire(next(self._numbers)) for _ in range(wanted - len(self.members))]
            for worker in hired:
                worker.start()
            self.members = self.members + hired

    def waiting(self) -> Waiting:
        waiting = Waiting(self._most, self._count)
        for progress in [one.progress for one in self.members if one.is_kept_waiting()]:
            waiting.configs[progress.config_id] += 1
            waiting.tenants[progress.tenant] += 1
            if progress.stage == "connect":
                waiting.unconnected.add(progress.config_id)
        return waiting

    def retire(self, worker: Worker) -> bool:
        """Whether this worker may go home: those that stood in for others are no longer needed."""
        with self._lock:
            at_hand = [one for one in self.members if not one.is_kept_waiting()]
            if worker in self.members and not (len(at_hand) > self._count and worker in at_hand):
                return False
            self.members = [one for one in self.members if one is not worker]
            return True

    def abandon(self, worker: Worker) -> None:
        """A worker hangs where nothing can free it: leave it behind."""
        with self._lock:
            self.members = [one for one in self.members if one is not worker]

    def is_alive(self) -> bool:
        return any(one.is_alive() for one in self.members)
