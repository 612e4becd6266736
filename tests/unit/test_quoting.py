"""What a reply and a forward begin with, and variables made up for a template."""

from __future__ import annotations

from typing import Any

import pytest

from services.composing.quoting import forward, reply
from services.templates.samples import sample_of
from utils.addresses import parse_address, split_list

BOB, ANN, CY = ({"name": n, "email": f"{n.lower()}@x.test"} for n in ("Bob", "Ann", "Cy"))
ODD = {"name": 'Doe, "Jo"\r\nBcc: evil@x.test', "email": "jo@x.test"}


def message(**changes: Any) -> dict[str, Any]:
    people = {"from": [BOB], "to": [ANN], "cc": [], "bcc": []} | changes.pop("people", {})
    return {
        "subject": "Plan", "body": "One\n> Two\n", "from": "bob@x.test", "fromName": "Bob", "sentAt": 0,
        "receivedAt": 0, "replyTo": [], "people": people,
    } | changes  # fmt: skip


def test_a_reply_goes_to_its_sender_quoted() -> None:
    found = reply(message(), "ann@x.test")
    assert (found["to"], found["cc"], found["subject"]) == ("Bob <bob@x.test>", "", "Re: Plan")
    assert found["text"] == "\n\nOn 1970-01-01 00:00 UTC, Bob wrote:\n> One\n>> Two\n"


def test_replies_go_where_they_are_wanted() -> None:
    assert reply(message(replyTo=["list@x.test"]), "ann@x.test")["to"] == "list@x.test"
    assert reply(message(), "BOB@x.test")["to"] == "Ann <ann@x.test>"  # to one's own: to whom that went
    everybody = reply(message(people={"to": [ANN, CY, BOB], "cc": [ODD]}), "ann@x.test", to_all=True)
    assert (everybody["to"], everybody["cc"].startswith("Cy <cy@x.test>, ")) == ("Bob <bob@x.test>", True)


def test_an_odd_name_stays_one_address() -> None:
    to = reply(message(people={"from": [ODD]}), "ann@x.test")["to"]
    (one,) = split_list(to)
    assert parse_address(one).email == "jo@x.test"


@pytest.mark.parametrize(
    ("subject", "answer"),
    [("re: a", "re: a"), ("Re : a", "Re : a"), ("Regards", "Re: Regards"), ("a\r\nb", "Re: a b")],
)
def test_one_re_is_enough(subject: str, answer: str) -> None:
    assert reply(message(subject=subject), "ann@x.test")["subject"] == answer


def test_a_forward_tells_where_it_came_from() -> None:
    found = forward(message(body=None))
    assert found["subject"] == "Fwd: Plan"
    assert (
        "From: Bob <bob@x.test>\nDate: 1970-01-01 00:00 UTC\nSubject: Plan\nTo: Ann <ann@x.test>"
        in found["text"]
    )
    assert forward(message(subject="FW: Plan"))["subject"] == "FW: Plan"


def test_a_sample_has_a_value_for_each_path() -> None:
    assert sample_of(["user.name", "user", "items", "items[].title", "tags[]", "vip"]) == {
        "user": {"name": "name"}, "items": [{"title": "title"}], "tags": ["tags"], "vip": "vip",
    }  # fmt: skip
    assert sample_of(["a", "a.b.c", "a.b"]) == {"a": {"b": {"c": "c"}}}
