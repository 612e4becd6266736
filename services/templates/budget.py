"""What one rendering may take. Work is counted, in characters mostly, so that the same template with the same variables
always ends in the same way; processor time is only looked at as a second fence.

Whatever makes something larger (a loop, a filter, an operator, an output) is charged before it is made, or right after
where it is as large as what went in.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from services.templates.errors import LimitError
from utils.clock import processor_seconds

MAX_WORK = 10_000_000  # characters, of all parts of an email together
STEP = 100  # of a turn of a loop, a call, an output: 100,000 of them
ITEM = 16  # of a place in a list
MAX_PROCESSOR_SECONDS = 0.5
MAX_LOADS = 100  # other templates that are included, each time counted
_BETWEEN_LOOKS = 250_000  # of work, some milliseconds


class Finder(Protocol):
    """Finds other templates of the same owner."""

    def template(self, name: object, part: Any) -> Any: ...


class Job:
    """One rendering of an email. `lenient`: what is missing is noted and shown instead of raised."""

    __slots__ = ("_ends_at", "_look_at", "finder", "left", "lenient", "loads", "missing", "variables")

    def __init__(self, variables: Mapping[str, Any], finder: Finder | None, lenient: bool = False) -> None:
        self.variables = variables
        self.finder = finder
        self.lenient = lenient
        self.missing: dict[str, None] = {}  # paths, in the order they were met
        self.left = MAX_WORK
        self.loads = MAX_LOADS
        self._look_at = max(0, MAX_WORK - _BETWEEN_LOOKS)
        self._ends_at = 0.0

    def charge(self, work: int = 0) -> None:
        """LimitError when it is used up."""
        self.left -= work + STEP
        if self.left < self._look_at:
            self._look()

    def _look(self) -> None:
        if self.left < 0:
            raise LimitError("it takes too much: a loop is too long, or what it makes too large")
        now = processor_seconds()
        self._ends_at = self._ends_at or now + MAX_PROCESSOR_SECONDS
        if now > self._ends_at:
            raise LimitError("it takes too long")
        self._look_at = max(0, self.left - _BETWEEN_LOOKS)

    def charge_load(self) -> None:
        self.loads -= 1
        if self.loads < 0:
            raise LimitError(f"it includes more than {MAX_LOADS} templates")


JOB: ContextVar[Job] = ContextVar("rendering")


def charge(work: int = 0) -> None:
    JOB.get().charge(work)


def weight(value: Any) -> int:
    """About how many characters it would be if it were written out: lists within lists count wherever they stand, so
    that a few small lists that hold one another many times weigh what they are."""
    kind = type(value)
    if kind is not list and kind is not tuple and kind is not dict:
        return len(value) if isinstance(value, str) else ITEM
    most, total, waiting = JOB.get().left, 0, [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            total += ITEM + len(one)
        elif isinstance(one, list | tuple):
            total += ITEM
            waiting += one
        elif isinstance(one, dict):
            total += ITEM
            waiting += one
            waiting += one.values()
        else:
            total += ITEM
        if total > most:
            break
    return total


def charged(value: Any) -> Any:
    """The value, once it is paid for."""
    charge(weight(value))
    return value
