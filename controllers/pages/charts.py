"""Charts of what happened when, laid out here and drawn as SVG by templates/chart.html: no script is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.history import Step
from utils.clock import iso

WIDTH, HEIGHT = 600, 150
_GAP = 0.25  # of a step's width, between bars
_NICE = (1, 2, 5, 10)

Series = Sequence[tuple[str, tuple[str, ...]]]  # name in the legend, what is counted for it


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """A step: where it is, what it says."""

    at: str  # ISO
    x: float
    width: float
    numbers: dict[str, int]
    bars: list[Bar] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Chart:
    columns: list[Column]
    names: list[str]
    totals: dict[str, int]
    top: int  # what the upper edge stands for
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def summary(self) -> str:
        return ", ".join(f"{number:,} {name}" for name, number in self.totals.items())


def chart(steps: Sequence[Step], series: Series, *, stacked: bool) -> Chart:
    """`stacked`: the parts of a step on top of each other, else beside each other."""
    names = [name for name, _ in series]
    table = [{name: step.of(*what) for name, what in series} for step in steps]
    highest = max((sum(one.values()) if stacked else max(one.values()) for one in table), default=0)
    top = _round_up(max(1, highest))
    width = WIDTH / max(1, len(steps))
    columns = [
        Column(iso(step.at), round(index * width, 2), round(width, 2), numbers,
               _bars(numbers, index * width, width * (1 - _GAP), top, stacked))
        for index, (step, numbers) in enumerate(zip(steps, table, strict=True))
    ]  # fmt: skip
    totals = {name: sum(one[name] for one in table) for name in names}
    return Chart(columns, names, totals, top)


def _bars(numbers: dict[str, int], x: float, width: float, top: int, stacked: bool) -> list[Bar]:
    each = width if stacked else width / len(numbers)
    bars: list[Bar] = []
    filled = 0.0
    for index, (name, number) in enumerate(numbers.items()):
        height = number / top * HEIGHT
        if number:
            height = max(height, 1.0)  # one among thousands is to be seen as well
            left = x if stacked else x + index * each
            y = HEIGHT - height - (filled if stacked else 0)
            bars.append(Bar(name, round(left, 2), round(y, 2), round(each, 2), round(height, 2)))
            filled += height
    return bars


def _round_up(number: int) -> int:
    """To 1, 2 or 5 with noughts, so that the edge is a number to read."""
    power: int = 10 ** (len(str(number)) - 1)
    return next(step * power for step in _NICE if step * power >= number)
