from __future__ import annotations

import pytest

from models.database import rows
from services.errors import InvalidInputError
from services.relay import Relay
from services.search import Filters, by_status, first_id_at, query, search
from tests.queue.making import NOW, change, ended, tenant
from tests.support.database import sqlite_only
from tests.support.relay import add_config, submit
from utils.clock import HOUR, MINUTE, iso

SINGLE = {
    "nothing": Filters(),
    "status": Filters(status="queued"),
    "sent": Filters(status="sent"),
    "tag": Filters(tag="news"),
    "recipient": Filters(recipient="ann@example.com"),
    "since": Filters(since=NOW),
    "until": Filters(until=NOW),
    "smtp_config_id": Filters(smtp_config_id=1),
    "ids": Filters(ids=[1, 2]),
}


def found(filters: Filters, whose: str | None = None) -> list[int]:
    return [item["id"] for item in search(whose, filters, 100, None).items]


def test_the_newest_come_first_a_page_at_a_time(relay: Relay) -> None:
    add_config()
    emails = [submit(relay, NOW) for _ in range(7)]
    pages, cursor = [], None
    for _ in range(4):
        page = search(None, Filters(), 3, cursor)
        pages.append([item["id"] for item in page.items])
        cursor = page.next_cursor
        submit(relay, NOW)  # what comes in meanwhile shifts nothing
        if cursor is None:
            break
    assert pages == [emails[:3:-1], emails[3:0:-1], emails[:1]]


def test_a_full_last_page_has_no_next(relay: Relay) -> None:
    add_config()
    for _ in range(3):
        submit(relay, NOW)
    assert search(None, Filters(), 3, None).next_cursor is None


@pytest.mark.parametrize(
    "cursor", ["x", "", "aWQ6MTI", "aWQ6LTE", "aWQ6", "%%%", "eHg6MTI", "aWQ6MTIz" * 9, "é"]
)
def test_only_a_cursor_that_a_page_gave_is_taken(relay: Relay, cursor: str) -> None:
    if cursor in ("", "aWQ6MTI"):  # none at all, and one that is well made
        assert search(None, Filters(), 3, cursor).items == []
        return
    with pytest.raises(InvalidInputError) as caught:
        search(None, Filters(), 3, cursor)
    assert caught.value.field == "cursor"


def test_an_item_tells_the_main_facts(relay: Relay) -> None:
    config = add_config()
    one = submit(relay, NOW, subject="Hi", to=["a@example.com", "b@example.com"], cc=["c@example.com"], priority=2,
                 smtp_config_id=config)  # fmt: skip
    assert search(None, Filters(), 1, None).items == [
        {
            "id": one, "subject": "Hi", "recipients": ["a@example.com", "b@example.com"], "status": "queued",
            "priority": 2, "retry_count": 0, "smtp_config_id": config, "tenant_id": None, "created_at": iso(NOW),
            "updated_at": iso(NOW), "sent_at": None, "error_message": None,
        }
    ]  # fmt: skip


def test_each_filter_finds_its_own(relay: Relay) -> None:
    config = add_config()
    plain = submit(relay, NOW, subject="plain", to=["bob@example.com"])
    tagged = submit(relay, NOW, tags=["news", "x"])
    pinned = submit(relay, NOW, smtp_config_id=config)
    sent = ended(relay, "sent", to=["Carol <CAROL@Example.COM>"])
    assert found(Filters(tag="news")) == [tagged]
    assert found(Filters(tag="new")) == []
    assert found(Filters(smtp_config_id=config)) == [pinned]
    assert found(Filters(status="sent")) == [sent]
    assert found(Filters(ids=[sent, plain, 999])) == [sent, plain]
    assert found(Filters(ids=[])) == []
    assert found(Filters(recipient="carol@EXAMPLE.com")) == [sent]
    assert found(Filters(recipient="carol")) == []
    assert found(Filters(q="Carol")) == [sent]
    assert found(Filters(q="LAI")) == [plain]
    assert found(Filters(q="bob@")) == [plain]


def test_filters_narrow_each_other(relay: Relay) -> None:
    add_config()
    both = submit(relay, NOW, subject="Offer", tags=["news"], to=["bob@example.com"])
    submit(relay, NOW, subject="Offer", tags=["news"])
    submit(relay, NOW, tags=["news"], to=["bob@example.com"])
    old = submit(relay, NOW - HOUR, subject="Offer", tags=["news"], to=["bob@example.com"])
    filters = Filters(tag="news", recipient="bob@example.com", q="offer", status="queued")
    assert sorted(found(filters)) == sorted([both, old])
    assert found(Filters(tag="news", recipient="bob@example.com", q="offer", since=NOW)) == [both]


def test_percent_underscore_and_backslash_are_only_themselves(relay: Relay) -> None:
    add_config()
    percent = submit(relay, NOW, subject="100% off")
    under = submit(relay, NOW, subject="a_b")
    back = submit(relay, NOW, subject="c\\d")
    submit(relay, NOW, subject="100 off axb cd")
    assert found(Filters(q="0% o")) == [percent]
    assert found(Filters(q="a_b")) == [under]
    assert found(Filters(q="c\\d")) == [back]


def test_times_bound_the_acceptance_and_small_clock_steps_lose_nothing(relay: Relay) -> None:
    add_config()
    times = [NOW, NOW + MINUTE, NOW - 20 * MINUTE, NOW + 2 * MINUTE]  # the clock was set back once
    emails = [submit(relay, at) for at in times]
    assert found(Filters(since=NOW + 1)) == [emails[3], emails[1]]
    assert found(Filters(until=NOW)) == [emails[2]]
    assert found(Filters(since=NOW, until=NOW + 1)) == [emails[0]]


def test_the_first_id_of_a_time_is_found_among_gaps(relay: Relay) -> None:
    add_config()
    emails = [submit(relay, NOW + n * MINUTE) for n in range(10)]
    for gone in (2, 3, 7):
        change(emails[gone], id=10_000 + gone, created_at=NOW + HOUR)
    assert first_id_at(0) == emails[0]
    assert first_id_at(NOW + 5 * MINUTE) == emails[5]
    assert emails[1] < first_id_at(NOW + 2 * MINUTE) <= emails[4]
    assert emails[9] < first_id_at(NOW + 10 * MINUTE) <= 10_002


def test_a_tenant_finds_its_own_only(relay: Relay) -> None:
    add_config(shared=True)
    ours = submit(relay, NOW, tenant("ours"), tags=["news"], subject="Hello")
    theirs = submit(relay, NOW, tenant("theirs"), tags=["news"], subject="Hello")
    for filters in (
        *SINGLE.values(),
        Filters(q="hello"),
        Filters(ids=[ours, theirs]),
        Filters(tag="news", q="hello"),
    ):
        assert theirs not in found(filters, "ours")
    assert found(Filters(tag="news"), "ours") == [ours]
    assert found(Filters(tag="news")) == [theirs, ours]
    assert found(Filters(recipient="ann@example.com")) == [theirs, ours]
    assert by_status("ours", "queued", 10, 0)[0]["id"] == ours
    assert by_status("nobody", "queued", 10, 0) == []


def test_one_state_is_listed_by_offset(relay: Relay) -> None:
    add_config()
    emails = [submit(relay, NOW) for _ in range(5)]
    change(emails[4], state="failed", error_message="550 no", retry_count=3)
    assert [one["id"] for one in by_status(None, "queued", 2, 1)] == [emails[2], emails[1]]
    assert by_status(None, "failed", 9, 0) == [
        {
            "id": emails[4], "subject": "Hello", "status": "failed", "priority": 3, "retry_count": 3,
            "created_at": iso(NOW), "updated_at": iso(NOW), "error_message": "550 no",
        }
    ]  # fmt: skip


def test_an_unknown_state_is_refused(relay: Relay) -> None:
    with pytest.raises(InvalidInputError) as caught:
        by_status(None, "lost", 10, 0)
    assert caught.value.field == "status"
    with pytest.raises(InvalidInputError):
        search(None, Filters(status="lost"), 10, None)


@sqlite_only
@pytest.mark.parametrize("whose", [None, "ours"])
@pytest.mark.parametrize("name", SINGLE)
def test_no_single_filter_reads_a_whole_table(relay: Relay, name: str, whose: str | None) -> None:
    sql, params = query(whose, SINGLE[name], 1_000)
    plan = [line[3] for line in rows("EXPLAIN QUERY PLAN " + sql, *params)]
    scanned = [line for line in plan if line.startswith("SCAN") and line not in ("SCAN one",)]
    assert scanned == [], plan
    if name == "recipient":
        assert any("recipients_address" in line for line in plan), plan
    assert not any("ORDER BY" in line for line in plan) or (name, whose) == ("tag", None), plan


def test_a_search_for_a_part_stops_in_time_and_goes_on_where_it_was(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five emails, of which the first alone is looked for; two are read at a time, and one step a page."""
    add_config()
    wanted = submit(relay, NOW, subject="Wanted")
    others = [submit(relay, NOW + n) for n in range(1, 5)]
    monkeypatch.setattr("services.search.STEP", 2)
    monkeypatch.setattr("services.search.PATIENCE", 0)
    pages, cursor = [], None
    for _ in range(5):
        page = search(None, Filters(q="want", status="queued"), 10, cursor)
        pages.append(([item["id"] for item in page.items], page.looked_back_to))
        cursor = page.next_cursor
        if cursor is None:
            break
    assert pages == [([], iso(NOW + 3)), ([], iso(NOW + 1)), ([wanted], None)]
    monkeypatch.setattr("services.search.PATIENCE", 60)
    assert found(Filters(q="want")) == [wanted]
    full = search(None, Filters(q="e"), 2, None)
    assert [item["id"] for item in full.items] == others[:1:-1]
    assert full.looked_back_to is None
