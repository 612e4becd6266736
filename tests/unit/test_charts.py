from __future__ import annotations

import pytest

from controllers.pages.charts import HEIGHT, WIDTH, chart
from services.history import Step
from utils.clock import MINUTE

SERIES = (("sent", ("sent",)), ("failed", ("failed", "expired")))


def drawn(*numbers: dict[str, int], stacked: bool = True):  # type: ignore[no-untyped-def]
    return chart([Step(index * MINUTE, one) for index, one in enumerate(numbers)], SERIES, stacked=stacked)


def test_parts_of_a_step_stand_on_each_other_and_reach_what_they_sum_up_to() -> None:
    (column,) = drawn({"sent": 60, "failed": 30, "expired": 10}).columns
    sent, failed = column.bars
    assert sent.y == pytest.approx(HEIGHT - sent.height)
    assert failed.y == pytest.approx(sent.y - failed.height) == pytest.approx(0)
    assert (sent.height, failed.height) == (pytest.approx(HEIGHT * 0.6), pytest.approx(HEIGHT * 0.4))


def test_beside_each_other_they_all_stand_on_the_ground() -> None:
    (column,) = drawn({"sent": 8, "failed": 2}, stacked=False).columns
    assert all(bar.y + bar.height == pytest.approx(HEIGHT) for bar in column.bars)
    assert column.bars[1].x == pytest.approx(column.bars[0].x + column.bars[0].width, abs=0.02)


def test_steps_fill_the_width_in_order() -> None:
    columns = drawn({}, {"sent": 1}, {}).columns
    assert [one.x for one in columns] == pytest.approx([0, WIDTH / 3, WIDTH * 2 / 3], abs=0.01)
    assert [len(one.bars) for one in columns] == [0, 1, 0]


def test_one_among_thousands_is_seen() -> None:
    assert drawn({"sent": 90_000}, {"failed": 1}).columns[1].bars[0].height == 1


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 1), (1, 1), (3, 5), (10, 10), (11, 20), (501, 1000), (999, 1000)]
)
def test_the_upper_edge_is_a_number_to_read(highest: int, top: int) -> None:
    assert drawn({"sent": highest}).top == top


def test_it_says_in_words_what_it_shows() -> None:
    assert drawn({"sent": 1500}, {"failed": 2}).summary == "1,500 sent, 2 failed"
