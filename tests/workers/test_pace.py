from __future__ import annotations

import pytest

from workers.pace import Pace


@pytest.mark.parametrize(
    ("seconds", "emails"),
    [
        (0.0005, 100),  # no more than this, however fast
        (0.002, 50),  # a tenth of a second
        (0.01, 20),  # as many as are worth an fsync
        (0.025, 20),
        (0.05, 10),  # but no more than half a second
        (0.2, 2),
        (3.0, 1),
    ],
)
def test_a_batch_is_worth_its_claim_and_short(seconds: float, emails: int) -> None:
    pace = Pace()
    pace.learn(7, seconds)
    assert pace.batch_size(7) == emails


def test_the_pace_follows_what_is_measured() -> None:
    pace = Pace()
    pace.learn(7, 0.002)
    for _ in range(30):
        pace.learn(7, 0.2)
    assert pace.batch_size(7) == 2
    assert pace.batch_size(8) == 20, "of another config nothing is known"
