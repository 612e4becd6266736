"""Full-text search, over HTTP, on either database."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from apiflask import APIFlask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.database import run, write
from services.inbox import search
from services.inbox.questions import Term, terms_of
from services.inbox.snippets import snippet
from tests.inbox.conftest import user_of
from tests.support.app import Caller
from tests.support.letters import NOW, add_account, add_folder, add_letter


def ask(ann: Caller, account: str, question: str, more: str = "") -> list[dict[str, Any]]:
    answer = ann.get(f"/api/{account}/messages?q={quote(question)}{more}")
    assert answer.status_code == 200, answer.json
    found: list[dict[str, Any]] = answer.json["messages"]
    return found


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("budget", True),
        ("BUDGET", True),
        ("budget planning", True),  # in subject and body
        ("budget absent", False),
        ("budge", False),
        ("budge*", True),
        ("budg* plan*", True),
        ('"the annual budget"', True),
        ('"annual the"', False),
        ('"annual budg"*', True),
        ("budget -planning", False),
        ("budget -holiday", True),
        ('budget -"the annual"', False),
        ("cafe", True),  # accents do not count
        ("Café", True),
        ("köln", True),
        ("koln", True),
        ("Ann.Lee@example.com", True),
        ("lee", True),
        ("example.com", True),
        ("www.shop.test/a-b", True),
        ("50%", True),
        ("o'brien", True),
        ("日本語", True),
        ("AND", False),
        ("budget AND", False),
        ("-planning", False),
        ("!!!", False),
        ("account", False),
    ],
)
def test_questions(ann: Caller, account: str, inbox: int, question: str, found: bool) -> None:
    add_letter(
        account, inbox, "Planning: café in Köln",
        "See the annual budget at https://www.shop.test/a-b?c=1, 50% off. O'Brien says 日本語.",
        sender=["Ann Lee", "ann.lee@example.com"],
    )  # fmt: skip
    add_letter(
        account,
        inbox,
        "Something else",
        "nothing of it",
        sender=["Zed", "zed@zed.test"],
        to=[["Yan", "yan@yan.test"]],
    )
    assert [one["subject"] for one in ask(ann, account, question)] == ["Planning: café in Köln"] * found


def test_newest_first_a_page_at_a_time(ann: Caller, account: str, inbox: int) -> None:
    for number in (3, 1, 5, 2, 4):
        add_letter(account, inbox, f"Report {number}", received_at=NOW + number)
    first = ann.get(f"/api/{account}/messages?q=report&limit=2").json
    rest = ann.get(f"/api/{account}/messages?q=report&cursor={first['pagination']['nextCursor']}").json
    assert [one["subject"][-1] for one in first["messages"] + rest["messages"]] == ["5", "4", "3", "2", "1"]
    assert rest["pagination"]["nextCursor"] is None


def test_the_index_follows_what_is_stored(ann: Caller, account: str, inbox: int) -> None:
    add_letter(account, inbox, "Hello", "first words")
    write(lambda: run("UPDATE letters SET text = 'other words'"))
    assert (len(ask(ann, account, "first")), len(ask(ann, account, "other"))) == (0, 1)
    write(lambda: run("UPDATE letters SET subject = 'Changed', html = 'x'"))
    assert (len(ask(ann, account, "hello")), len(ask(ann, account, "changed other"))) == (0, 1)
    write(lambda: run("UPDATE messages SET gone_at = 1"))
    assert ask(ann, account, "other") == []
    write(lambda: run("DELETE FROM letters"))
    assert ask(ann, account, "other") == []


def test_an_account_finds_its_own_alone(ann: Caller, account: str, inbox: int, app: APIFlask) -> None:
    other = add_account("tenant-b", "bob")
    add_letter(other, add_folder(other), "Secret budget of b")
    add_letter(account, inbox, "Budget of a")
    assert [one["subject"] for one in ask(ann, account, "budget")] == ["Budget of a"]
    assert ask(ann, account, "secret") == []
    assert len(ask(user_of(app, "tenant-b", "bob"), other, "secret")) == 1
    for name in (
        other,
        other.encode().hex(),
        account.encode().hex(),
    ):  # how the index knows whose a letter is
        assert ask(ann, account, name) == []


def many_words(count: int, first: int, alphabet: int, length: int) -> str:
    """All different."""
    return " ".join(
        "".join(chr(first + (number // alphabet**place + place) % alphabet) for place in range(length))
        for number in range(count)
    )


@pytest.mark.parametrize(
    "text",
    [
        many_words(40_000, 0xAC01, 10_000, 4),
        many_words(100_000, 0x20000, 40_000, 1),
        many_words(66_000, 0x20000, 40_000, 2),
    ],
    ids=["hangul", "single", "pairs"],
)
def test_no_letter_is_too_much_for_the_index(ann: Caller, account: str, inbox: int, text: str) -> None:
    add_letter(account, inbox, "Long", "beginning " + text)
    assert len(ask(ann, account, "beginning long")) == 1


def test_only_in_a_folder(ann: Caller, account: str, inbox: int) -> None:
    archive = add_folder(account, "Archive", "archive")
    add_letter(account, inbox, "Report a")
    add_letter(account, archive, "Report b")
    assert [one["subject"] for one in ask(ann, account, "report", f"&folderId={archive}")] == ["Report b"]


def test_snippets_show_where_it_is(ann: Caller, account: str, inbox: int) -> None:
    add_letter(account, inbox, "The <b>plan</b>", "x " * 200 + "now <i>The Plan</i> is " + "y " * 200)
    (one,) = ask(ann, account, "plan")
    assert one["subjectSnippet"] == "The &lt;b&gt;<mark>plan</mark>&lt;/b&gt;"
    assert "now &lt;i&gt;The <mark>Plan</mark>&lt;/i&gt; is y" in one["snippet"]
    assert one["snippet"].startswith("… x ") and one["snippet"].endswith("y …")
    add_letter(account, inbox, "Nothing", "at all", sender=["Planner", "plan@x.test"])
    assert ask(ann, account, "planner")[0]["snippet"].startswith("<mark>Planner</mark> plan@x.test")


@pytest.mark.parametrize(
    "query", ["", "q=", "q=x&conversationId=1", "folderId=1", "q=x&offset=1", "q=x&cursor=zz"]
)
def test_what_is_no_question_is_a_400(ann: Caller, account: str, inbox: int, query: str) -> None:
    assert ann.get(f"/api/{account}/messages?{query}").status_code == 400


def test_a_broken_character_is_no_accident(ann: Caller, account: str, inbox: int) -> None:
    for question in ("%00", "%ff%fe", "a%F0%9F", "%ED%A0%80", "%0d%0a", "%22", "%27%22*"):
        assert ann.get(f"/api/{account}/messages?q=x{question}").status_code in (200, 400)


PIECES = [
    *'"*-^:(){}+&|!<>\'\\%_~@#./;,?[]$', "AND", "OR", "NOT", "NEAR(", "subject:", "a", "word", " ", "  ", "é", "日",
    "\u0301", "\u200b", "1e5", "0x1", "-1", "//", "--", "::", "<->", ":*", "''", "😀", "\ufffd", "\u2028"]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(question=st.one_of(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.text(max_size=100)))
def test_no_question_raises(account: str, inbox: int, question: str) -> None:
    usable = question.encode("utf-8", "replace").decode().replace("\0", "")
    terms = terms_of(usable)
    search.found(account, terms, 10)
    snippet([usable, "a word"], terms)


def test_terms() -> None:
    assert terms_of('one -two "three  four" fi* -"six seven*" a@b.c') == [
        Term(("one",)), Term(("two",), without=True), Term(("three", "four")), Term(("fi",), begins=True),
        Term(("six", "seven"), without=True), Term(("a", "b", "c")),
    ]  # fmt: skip
    assert terms_of("-a -b") == terms_of("") == terms_of("*") == terms_of('"') == []
    assert len(terms_of("x " * 1_000)) == 24
