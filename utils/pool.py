"""Things that are dear to make and may be used again, such as connections: each is lent to one thread at a time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from utils.clock import monotonic

T = TypeVar("T")


class NoPlaceError(Exception):
    """As many as there may be are in use."""


class Places:
    """So many at a time for each key, and in all."""

    def __init__(self, per_key: int, total: int) -> None:
        self._per_key, self._total = per_key, total
        self._taken: Counter[str] = Counter()
        self._changed = threading.Condition()

    def take(self, key: str, patience: float) -> None:
        """NoPlaceError when none becomes free within `patience` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_free(key), patience):
                raise NoPlaceError
            self._taken[key] += 1

    def leave(self, key: str) -> None:
        with self._changed:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]
            self._changed.notify_all()

    def _is_free(self, key: str) -> bool:
        return self._taken[key] < self._per_key and self._taken.total() < self._total


@dataclass(frozen=True, slots=True)
class _Idle(Generic[T]):
    key: str
    version: object
    thing: T
    since: float


class Pool(Generic[T]):
    """Of each key at most `per_key` are lent, and as many kept; `total` in all. What is idle for `idle_seconds`, or of
    another version than the one that is asked for, is closed."""

    def __init__(self, close: Callable[[T], None], *, per_key: int, total: int, idle_seconds: float) -> None:
        self._close = close
        self._per_key, self._total, self._idle_seconds = per_key, total, idle_seconds
        self._places = Places(per_key, total)
        self._idle: list[_Idle[T]] = []  # the oldest first
        self._gate = threading.Lock()
        self._closed = False

    def take(self, key: str, version: object, patience: float) -> T | None:
        """One of before, or None: then make one. `give_back` ends it in any case. NoPlaceError."""
        self._places.take(key, patience)
        with self._gate:
            found = next(
                (one for one in reversed(self._idle) if one.key == key and one.version == version), None
            )
            if found is not None:
                self._idle.remove(found)
        self._drop(lambda one: one.key == key and one.version != version)
        self.sweep()
        return found.thing if found is not None else None

    def give_back(self, key: str, version: object, thing: T | None) -> None:
        """None: it is of no more use."""
        if thing is not None:
            with self._gate:
                self._idle.append(_Idle(key, version, thing, monotonic()))
        self._places.leave(key)
        self._drop(lambda one: self._closed or self._is_beyond(one))

    def sweep(self) -> None:
        oldest = monotonic() - self._idle_seconds
        self._drop(lambda one: one.since < oldest)

    def close(self) -> None:
        """What is idle, and from now on whatever is given back."""
        self._closed = True
        self._drop(lambda one: True)

    def _is_beyond(self, one: _Idle[T]) -> bool:
        """Inside the gate: there are as many younger ones as are kept."""
        younger = self._idle[self._idle.index(one) + 1 :]
        return len(younger) >= self._total or sum(other.key == one.key for other in younger) >= self._per_key

    def _drop(self, which: Callable[[_Idle[T]], bool]) -> None:
        with self._gate:
            gone = [one for one in self._idle if which(one)]
            self._idle = [one for one in self._idle if one not in gone]
        for one in gone:
            self._close(one.thing)
