"""Pages of a folder's messages, over HTTP."""

from __future__ import annotations

import random
from typing import Any

import pytest

from models.database import rows, run, write
from services.inbox import listing
from tests.support.app import Caller
from tests.support.letters import NOW, add_folder, add_letter, add_many
from utils.clock import HOUR


def page(ann: Caller, account: str, folder: int, query: str = "") -> dict[str, Any]:
    answer = ann.get(f"/api/{account}/folders/{folder}/messages?{query}")
    assert answer.status_code == 200, answer.json
    found: dict[str, Any] = answer.json
    return found


def subjects(answer: dict[str, Any]) -> list[str]:
    return [one["subject"] for one in answer["messages"]]


def test_a_message_in_a_list(ann: Caller, account: str, inbox: int) -> None:
    message = add_letter(
        account, inbox, "Plans", "See you " * 50,
        sender=["Bob Ö", "bob@example.com"], flags=["\\Flagged", "work", "$x"],
        recipients={"to": [["Ann", "ann@x.test"]], "cc": [["", "c@x.test"]], "bcc": []}, size=1_234,
        parts=[{"filename": "a.pdf"}, {"section": "3", "is_inline": True, "content_id": "i"}],
    )  # fmt: skip
    answer = page(ann, account, inbox)
    assert answer["pagination"] == {"total": 1, "limit": 50, "offset": 0, "nextCursor": None}
    (one,) = answer["messages"]
    preview = one.pop("preview")
    assert (preview, len(preview)) == (("See you " * 50)[:200], 200)
    assert one == {
        "id": str(message), "accountId": account, "folderId": str(inbox), "conversationId": one["conversationId"],
        "from": "bob@example.com", "fromName": "Bob Ö", "to": ["ann@x.test"], "cc": ["c@x.test"], "bcc": [],
        "subject": "Plans", "isRead": False, "isStarred": True, "isSpam": False, "isDeleted": False, "labels": ["work"],
        "attachmentCount": 1, "size": 1_234, "sentAt": NOW, "receivedAt": NOW, "createdAt": NOW, "updatedAt": NOW,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("receivedAt:desc", ["c", "b", "a", "d"]),
        ("receivedAt:asc", ["d", "a", "b", "c"]),
        ("from:asc", ["b", "d", "a", "c"]),
        ("from:desc", ["c", "a", "d", "b"]),
    ],
)
def test_sorting(ann: Caller, account: str, inbox: int, sort: str, order: list[str]) -> None:
    for subject, sender, hours in (("a", "y", 1), ("b", "x", 2), ("c", "z", 3), ("d", "x", 0)):
        add_letter(account, inbox, subject, sender=["", sender], received_at=NOW + hours * HOUR)
    assert subjects(page(ann, account, inbox, f"sort={sort}")) == order
    walked: list[str] = []
    query = f"sort={sort}&limit=1"
    while True:
        answer = page(ann, account, inbox, query)
        walked += subjects(answer)
        if answer["pagination"]["nextCursor"] is None:
            break
        query = f"sort={sort}&limit=1&cursor={answer['pagination']['nextCursor']}"
    assert walked == order


def test_filters_and_their_totals(ann: Caller, account: str, inbox: int) -> None:
    for number in range(6):
        add_letter(account, inbox, str(number), flags=["\\Seen"] if number % 3 else [])
    for name, expected in (("all", 6), ("read", 4), ("unread", 2)):
        for sort in ("receivedAt:desc", "from:asc"):
            answer = page(ann, account, inbox, f"filter={name}&sort={sort}")
            assert (len(answer["messages"]), answer["pagination"]["total"]) == (expected, expected)
            assert name == "all" or {one["isRead"] for one in answer["messages"]} == {name == "read"}


def test_offsets_page_as_well(ann: Caller, account: str, inbox: int) -> None:
    for number in range(5):
        add_letter(account, inbox, str(number), received_at=NOW + number)
    answer = page(ann, account, inbox, "limit=2&offset=2")
    assert subjects(answer) == ["2", "1"]
    assert answer["pagination"] | {"nextCursor": ""} == {
        "total": 5,
        "limit": 2,
        "offset": 2,
        "nextCursor": "",
    }
    assert subjects(page(ann, account, inbox, f"limit=2&cursor={answer['pagination']['nextCursor']}")) == [
        "0"
    ]


def test_pages_stay_stable_while_mail_arrives_and_goes(ann: Caller, account: str, inbox: int) -> None:
    rng = random.Random(3)
    before = [add_letter(account, inbox, received_at=NOW + rng.randrange(20)) for _ in range(60)]
    seen: list[str] = []
    query = "limit=7"
    while query:
        answer = page(ann, account, inbox, query)
        seen += [one["id"] for one in answer["messages"]]
        add_letter(account, inbox, "new", received_at=NOW + HOUR + len(seen))
        if len(seen) == 21:  # one that was shown goes, one that was not does, too
            for gone in (int(seen[3]), next(one for one in before if str(one) not in seen)):
                write(lambda gone=gone: run("UPDATE messages SET gone_at = 1 WHERE id = ?", gone))
        cursor = answer["pagination"]["nextCursor"]
        query = f"limit=7&cursor={cursor}" if cursor else ""
    assert len(seen) == len(set(seen)) == 59
    assert set(seen) < {str(one) for one in before}


def test_the_link_leads_to_the_next_page(ann: Caller, account: str, inbox: int) -> None:
    for number in range(3):
        add_letter(account, inbox, str(number), received_at=NOW + number)
    link = ann.get(f"/api/{account}/folders/{inbox}/messages?limit=1&offset=1").headers["Link"]
    assert subjects(ann.get(link.partition(">")[0].strip("<")).json) == ["0"]


def test_conversations_show_their_newest_message(ann: Caller, account: str, inbox: int) -> None:
    sent = add_folder(account, "Sent", "sent")
    add_letter(account, inbox, "Lunch", message_id="<1@x>", received_at=NOW, flags=["\\Seen"])
    add_letter(account, inbox, "Alone", message_id="<9@x>", received_at=NOW + 5)
    add_letter(account, sent, "Re: Lunch", message_id="<2@x>", in_reply_to="<1@x>", received_at=NOW + 10)
    add_letter(account, inbox, "Re: Lunch!", message_id="<3@x>", in_reply_to="<2@x>", received_at=NOW + 20)
    answer = page(ann, account, inbox, "conversations=true")
    assert [(one["subject"], one["conversation"]) for one in answer["messages"]] == [
        ("Re: Lunch!", {"messageCount": 3, "unreadCount": 2}), ("Alone", {"messageCount": 1, "unreadCount": 1}),
    ]  # fmt: skip
    assert answer["pagination"]["total"] is None
    first = page(ann, account, inbox, "conversations=true&limit=1")
    rest = page(ann, account, inbox, f"conversations=true&limit=1&cursor={first['pagination']['nextCursor']}")
    assert subjects(first) + subjects(rest) == ["Re: Lunch!", "Alone"]
    conversation = answer["messages"][0]["conversationId"]
    whole = ann.get(f"/api/{account}/messages?conversationId={conversation}").json
    assert [one["subject"] for one in whole["messages"]] == ["Lunch", "Re: Lunch", "Re: Lunch!"]
    first = ann.get(f"/api/{account}/messages?conversationId={conversation}&limit=2").json
    rest = ann.get(
        f"/api/{account}/messages?conversationId={conversation}&cursor={first['pagination']['nextCursor']}"
    ).json
    assert [one["subject"] for one in rest["messages"]] == ["Re: Lunch!"]


@pytest.mark.parametrize("sort", ["receivedAt:desc", "receivedAt:asc"])
def test_a_conversation_may_hold_all_that_a_machine_ever_reported(
    ann: Caller, account: str, inbox: int, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its messages is looked at a few times at most, not once for each other."""
    add_many(account, inbox, 1_500)
    write(lambda: run("UPDATE letters SET conversation_id = 1 WHERE id > 7"))
    read = 0

    def counting(sql: str, *params: object) -> list[tuple[Any, ...]]:
        nonlocal read
        found = rows(sql, *params)
        read += len(found)
        return found

    monkeypatch.setattr(listing, "rows", counting)
    seen: list[str] = []
    query = "limit=2"
    while query:
        answer = page(ann, account, inbox, f"conversations=true&sort={sort}&{query}")
        seen += [one["id"] for one in answer["messages"]]
        cursor = answer["pagination"]["nextCursor"]
        query = f"limit=2&cursor={cursor}" if cursor else ""
        assert read < 4 * 1_500
        read = 0
    # of add_many, each three are a conversation; the first is that of those beyond the seventh
    expected = ["1500", "7", "6"]
    assert seen == (expected if sort.endswith("desc") else expected[::-1])
    offset = page(ann, account, inbox, f"conversations=true&sort={sort}&limit=1&offset=1")
    assert [one["id"] for one in offset["messages"]] == [seen[1]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sort=subject:asc", "sort"), ("filter=starred", "filter"), ("limit=0", "limit"), ("limit=501", "limit"),
        ("offset=-1", "offset"), ("cursor=x", "cursor"), ("cursor=W10", "cursor"), ("cursor=bnVsbA", "cursor"),
        ("conversations=1", "conversations"), ("sort=from:asc&conversations=true", "sort"), ("page=2", "page"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_named(ann: Caller, account: str, inbox: int, query: str, field: str) -> None:
    answer = ann.get(f"/api/{account}/folders/{inbox}/messages?{query}")
    assert (answer.status_code, answer.json["details"][0]["field"]) == (400, field)


def test_a_cursor_is_for_its_own_order(ann: Caller, account: str, inbox: int) -> None:
    for _ in range(3):
        add_letter(account, inbox)
    cursor = page(ann, account, inbox, "limit=1")["pagination"]["nextCursor"]
    for query in (f"sort=from:asc&cursor={cursor}", f"offset=1&cursor={cursor}", f"cursor={cursor[:-3]}"):
        assert ann.get(f"/api/{account}/folders/{inbox}/messages?{query}").status_code == 400
