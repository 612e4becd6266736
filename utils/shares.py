"""How many connections each process of a daemon has, so that the next one goes to whoever has fewest.

A listening socket is everyone's: whoever wakes first takes all that is there. Four clients that connect together may
so end in one process, and the others idle.
"""

from __future__ import annotations

import mmap

_FREE = 0
_AWAY = 2**32 - 1  # taken, by a process that does not accept yet, or no longer


class Shares:
    """Made before the processes are forked. Each has a place; they read and write without a lock, for it is a hint."""

    def __init__(self, places: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, 4 * places)).cast("I")  # connections + 1

    def take(self) -> int | None:
        """A place, for a process that does not accept yet; None when there is none."""
        for place, count in enumerate(self._counts):
            if count == _FREE:
                self.leave(place)
                return place
        return None

    def set(self, place: int, connections: int) -> None:
        self._counts[place] = connections + 1

    def leave(self, place: int) -> None:
        """It accepts no more, until it says otherwise."""
        self._counts[place] = _AWAY

    def free(self, place: int) -> None:
        self._counts[place] = _FREE

    def counts(self) -> tuple[int, ...]:
        """All of them, to be compared with later ones."""
        return tuple(self._counts)

    def fewest(self) -> int:
        """Connections of the process that has fewest."""
        return min((count for count in self._counts if count != _FREE), default=_AWAY) - 1
