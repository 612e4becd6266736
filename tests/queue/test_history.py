from __future__ import annotations

from itertools import pairwise

import pytest

from models import Minute
from services import history
from services.relay import Relay
from utils.clock import DAY, HOUR, MINUTE

NOW = 1_800_000_000_000 // HOUR * HOUR + 7 * MINUTE + 5


@pytest.mark.parametrize(
    ("span", "count", "size"), [("hour", 60, MINUTE), ("day", 96, 15 * MINUTE), ("week", 84, 2 * HOUR)]
)
def test_a_span_ends_with_the_step_that_is_still_filling(
    relay: Relay, span: str, count: int, size: int
) -> None:
    found = history.steps(span, NOW)
    assert len(found) == count
    assert found[-1].at <= NOW < found[-1].at + size
    assert {later.at - earlier.at for earlier, later in pairwise(found)} == {size}


def test_minutes_add_up_to_the_step_they_are_in(relay: Relay) -> None:
    for minute, number in ((NOW // MINUTE, 1), (NOW // MINUTE - 7, 10), (NOW // MINUTE - 8, 100)):
        Minute.create(minute=minute, what="sent", number=number)
    assert [one.of("sent") for one in history.steps("day", NOW)[-2:]] == [100, 11]
    assert history.steps("hour", NOW)[-1].of("sent", "failed") == 1


def test_what_is_older_than_any_chart_goes(relay: Relay) -> None:
    Minute.create(minute=(NOW - 9 * DAY) // MINUTE, what="sent", number=1)
    Minute.create(minute=(NOW - 7 * DAY) // MINUTE, what="sent", number=1)
    assert history.prune(NOW) == 1
    assert Minute.select().count() == 1
