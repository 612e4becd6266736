"""How many emails to claim at a time: some 50 ms of work, since a fresh urgent email waits behind what is claimed."""

from __future__ import annotations

WORTH_SECONDS = 0.05
LARGEST = 50
FIRST_GUESS = 0.02
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
