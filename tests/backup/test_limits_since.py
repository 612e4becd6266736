"""The most that a config can have sent since a backup, given that the lost relay kept to its limits."""

from __future__ import annotations

import pytest

from services.aftermath import most_since
from services.quota import Windows


@pytest.mark.parametrize(
    ("hour", "day", "hours", "most"),
    [
        ((0, 0), (0, 0), 5, (0, 0)),  # no limits, nothing to count
        ((10, 50), (0, 0), 1, (40, 0)),
        ((0, 0), (100, 500), 1, (400, 0)),  # without an hourly limit all of it may have gone just now
        ((10, 50), (100, 500), 1, (40, 0)),
        ((0, 50), (100, 500), 3, (50, 100)),  # two further hours at most before the last
        ((0, 50), (100, 500), 30, (50, 350)),  # no more than the day has room for
        ((0, 50), (490, 500), 3, (10, 0)),
        ((60, 50), (600, 500), 3, (0, 0)),  # limits that were lowered since
    ],
)
def test_the_most(hour: tuple[int, int], day: tuple[int, int], hours: int, most: tuple[int, int]) -> None:
    used = Windows("messages", hour[0], hour[1], day[0], day[1], None)
    assert most_since(used, hours) == most
