"""How many emails to claim at a time: some 100 ms of a connection's work, since a fresh urgent email waits behind what
is claimed. It waits for the first connection that needs a new batch, so usually for a part of that."""

from __future__ import annotations

WORTH_SECONDS = 0.1
LARGEST = 100
FIRST_GUESS = 0.01
WEIGHT = 0.3  # of the newest measurement


class Pace:
    """Seconds per email and config, a moving average. A lost update between threads does no harm."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}

    def learn(self, config_id: int, seconds: float) -> None:
        before = self._seconds.get(config_id, seconds)
        self._seconds[config_id] = before + WEIGHT * (seconds - before)

    def batch_size(self, config_id: int) -> int:
        seconds = self._seconds.get(config_id, FIRST_GUESS)
        return max(1, min(LARGEST, int(WORTH_SECONDS / max(seconds, 1e-6))))
