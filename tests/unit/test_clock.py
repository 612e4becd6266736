"""Long work gives way to those that wait, and only to them."""

from __future__ import annotations

import time

import pytest

from utils.clock import politely


@pytest.mark.parametrize(("others", "pauses"), [(True, 12), (False, 0)])
def test_it_pauses_as_long_as_there_are_others(
    others: bool, pauses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(time, "sleep", paused.append)
    assert list(politely(range(100), lambda: others)) == list(range(100))
    assert paused == [0] * pauses
