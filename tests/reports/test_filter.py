"""What is kept in memory of the suppressed addresses: never a no for somebody on the list."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from models.database import database, write
from services import suppressions
from services.errors import InvalidInputError
from services.relay import Relay
from services.suppression_filter import filter_
from services.suppressions import New
from tests.support.database import POSTGRESQL
from tests.support.relay import submit
from utils.clock import now_ms

ANN, BOB = "ann@example.com", "bob@example.com"


def add(*addresses: str) -> None:
    suppressions.add("", [New(one) for one in addresses], now_ms())


def asked() -> Iterator[str]:
    yield from (ANN, BOB)


def refused(relay: Relay, address: str) -> bool:
    try:
        submit(relay, to=[address])
    except InvalidInputError as exc:
        return exc.details[0].code == "RECIPIENT_SUPPRESSED"
    return False


@pytest.mark.skipif(POSTGRESQL, reason="on PostgreSQL the list itself is asked")
def test_it_tells_who_may_be_on_the_list_once_it_has_seen_all(relay: Relay) -> None:
    add(ANN)
    assert filter_.maybe("", asked()) is None
    filter_.refresh()
    assert filter_.maybe("", asked()) == [ANN]
    assert filter_.maybe("acme", asked()) == []
    add(BOB)
    assert filter_.maybe("", asked()) is None
    filter_.refresh()
    assert filter_.maybe("", asked()) == [ANN, BOB]


def test_whoever_was_added_is_refused_at_once_and_whoever_was_removed_is_not(relay: Relay) -> None:
    for refresh in (filter_.refresh, lambda: None):
        refresh()
        add(ANN, "zoe@example.com")
        assert refused(relay, "Ann@Example.com")
        refresh()
        assert refused(relay, ANN)
        assert not refused(relay, BOB)
        suppressions.remove("", ANN)
        assert not refused(relay, ANN)
        refresh()
        assert not refused(relay, ANN)
        suppressions.remove("", "zoe@example.com")  # the newest of all


def test_what_was_rolled_back_is_not_taken_for_seen(relay: Relay) -> None:
    add("first@example.com")
    filter_.refresh()

    def undone() -> None:
        suppressions.enter("", New(BOB), now_ms())
        assert filter_.maybe("", asked()) is None
        raise KeyError

    with pytest.raises(KeyError):
        write(undone)
    add(ANN)  # bears the id that Bob had
    filter_.refresh()
    assert refused(relay, ANN)
    assert not refused(relay, BOB)


def test_another_database_is_another_list(relay: Relay) -> None:
    filter_.refresh()
    filter_._of = object()
    add(ANN)
    assert refused(relay, ANN)
    assert database.obj is not filter_._of
