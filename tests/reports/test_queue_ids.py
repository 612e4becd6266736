"""Which words of a 250 are a server's own name for one email."""

from __future__ import annotations

import pytest

from services.reports.match import is_telling


@pytest.mark.parametrize("name", ["711003623BC", "4bXyZ21kQ9z3Pq", "1tBxYz-00000000abc-2DeF"])
def test_a_name_that_servers_make_is_one(name: str) -> None:
    assert is_telling(name)


@pytest.mark.parametrize(
    "name", ["accepted", "20251125", "mx1.example.com", "2.0.0", "deadbeef", "FACADE", "queued"]
)
def test_what_stands_in_every_answer_is_none(name: str) -> None:
    assert not is_telling(name)
