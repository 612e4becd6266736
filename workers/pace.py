"""How many emails to claim at a time, for a connection.

Some 100 ms of its work, since a fresh urgent email waits behind what is claimed: with several connections, for the
first that needs a new batch. But each claim is fsynced, so rather 20 emails, where these are no more than half a
second's work: on a slow disk the claims would else take all the time, and by that make the batches ever smaller.
"""

from __future__ import annotations

WORTH_SECONDS = 0.1
MOST_SECONDS = 0.5
WORTH_A_CLAIM = 20
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
        seconds = max(self._seconds.get(config_id, FIRST_GUESS), 1e-6)
        least = min(WORTH_A_CLAIM, int(MOST_SECONDS / seconds))
        return max(1, least, min(LARGEST, int(WORTH_SECONDS / seconds)))
