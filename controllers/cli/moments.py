"""Times as people write them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from utils.clock import DAY, HOUR, MINUTE, SECOND, now_ms, to_ms

if TYPE_CHECKING:
    _Base = click.ParamType[int]
else:
    _Base = click.ParamType  # which older releases do not let be subscripted

_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_SPAN = re.compile(r"([0-9]{1,6})([smhdw])")
PAST_HELP = (
    "a time (2026-01-23T10:30, in your zone unless it names one), a day, or how long ago: 30m, 2h, 7d."
)


class Moment(_Base):
    """ms since the epoch. A span counts back from now, or with `ahead` forward."""

    name = "time"

    def __init__(self, *, ahead: bool = False) -> None:
        self._sign = 1 if ahead else -1

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        span = _SPAN.fullmatch(value.strip())
        if span:
            return now_ms() + self._sign * int(span[1]) * _UNITS[span[2]]
        try:
            return to_ms(
                datetime.fromisoformat(value.strip()).astimezone()
            )  # a bare time is one of this zone
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time: give one such as 2026-01-23T10:30, or 2h", param, ctx)
