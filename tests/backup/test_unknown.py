from __future__ import annotations

import pytest

from services import unknown
from services.relay import Relay
from tests.queue.making import NOW, change, ended
from tests.support.relay import add_config, email, events, recipient_states, state, submit


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown, "STEP", 2)


def held(relay: Relay, count: int = 1, **fields: object) -> list[int]:
    return [ended(relay, "unknown", **fields) for _ in range(count)]


def test_all_are_settled_in_steps(relay: Relay) -> None:
    add_config()
    ids = held(relay, 5)
    steps: list[int] = []
    assert unknown.decide(relay, None, "sent", NOW, steps.append) == 5
    assert steps == [2, 4, 5]
    assert {state(one) for one in ids} == {"sent"} and unknown.listed(10) == (0, [])


def test_those_that_are_named_are_found_behind_many_that_are_not_unknown(relay: Relay) -> None:
    add_config()
    others = [submit(relay, NOW) for _ in range(5)]
    (one,) = held(relay)
    assert unknown.decide(relay, [*others, one, 999], "failed", NOW) == 1
    assert {state(other) for other in others} == {"queued"} and state(one) == "failed"


def test_sent_again_it_takes_its_old_place_with_a_fresh_count(relay: Relay, woken: list[bool]) -> None:
    add_config()
    (one,) = held(relay, to=["ann@example.com", "bob@example.com"])
    change(one, retry_count=7)
    before = email(one)["sort_at"]
    assert unknown.decide(relay, [one], "retry", NOW) == 1
    now = email(one)
    assert (now["state"], now["sort_at"], now["retry_count"], now["recipient_count"]) == (
        "queued",
        before,
        0,
        2,
    )
    assert set(recipient_states(one).values()) == {"pending"} and events(one) == ["requeued"]
    assert woken


def test_what_was_erased_cannot_be_sent_again_but_settled(relay: Relay) -> None:
    add_config()
    (one,) = held(relay)
    change(one, has_content=False)
    assert unknown.decide(relay, None, "retry", NOW) == 0
    assert unknown.decide(relay, None, "sent", NOW) == 1
