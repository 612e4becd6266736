"""Conversations: what belongs together, whatever the order in which it came."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from models.database import row, rows, run, write
from services.inbox import threads
from services.inbox.threads import Threaded, conversations_of
from tests.support.relay import relay_in
from utils.subjects import base_subject

ACCOUNT = "a"


@pytest.fixture(autouse=True)
def _relay(tmp_path: Path) -> Iterator[None]:
    with relay_in(tmp_path):
        yield


def mail(
    message_id: str = "",
    subject: str = "Lunch",
    answers: str = "",
    refs: Sequence[str] = (),
    thread: str | None = None,
) -> Threaded:
    """`x` stands for <x@y>."""
    named = [f"<{one}@y>" if one else "" for one in (message_id, answers, *refs)]
    return Threaded(0, thread, named[0], named[1], " ".join(named[2:]), base_subject(subject))


def store(*letters: Threaded, account: str = ACCOUNT, at_once: bool = False) -> list[int]:
    """Their conversations at the end."""
    ids = [_insert(account, one) for one in letters] if at_once else []
    for number, letter in enumerate(letters):
        if not at_once:
            ids.append(_insert(account, letter))
            _join(account, [replace(letter, letter_id=ids[number])])
    if at_once:
        _join(account, [replace(one, letter_id=number) for number, one in zip(ids, letters, strict=True)])
    found = dict(rows("SELECT id, conversation_id FROM letters WHERE account_id = ?", account))
    return [found[one] for one in ids]


def _insert(account: str, letter: Threaded) -> int:
    def job() -> int:
        found = row(
            "INSERT INTO letters (account_id, thread_id, message_id, in_reply_to, refs, subject, base_subject,"
            " recipients, received_at, size, preview, people, has_body, created_at)"
            " VALUES (?, ?, ?, ?, ?, '', ?, '{}', 0, 0, '', '', ?, 0) RETURNING id",
            account, letter.thread_id, letter.message_id, letter.in_reply_to, letter.references, letter.base_subject,
            False,
        )  # fmt: skip
        assert found
        return int(found[0])

    return write(job)


def _join(account: str, letters: list[Threaded]) -> None:
    def job() -> None:
        for letter_id, conversation in conversations_of(account, letters).items():
            run("UPDATE letters SET conversation_id = ? WHERE id = ?", conversation, letter_id)

    write(job)


def together(conversations: list[int]) -> bool:
    return len(set(conversations)) == 1


def test_an_answer_joins_what_it_answers() -> None:
    first, second = store(mail("1"), mail("2", "Something else", answers="1"))
    assert first == second == 1


def test_the_same_subject_alone_joins_nothing() -> None:
    assert len(set(store(mail("1"), mail("2"), mail("3", "Re: Lunch"), mail(""), mail("")))) == 5


def test_references_count_with_the_same_base_subject_only() -> None:
    assert together(store(mail("1"), mail("2", "Re: Lunch", refs=["1"])))
    assert len(set(store(mail("3", "Other"), mail("4", "Re: Dinner", refs=["3"])))) == 2


def test_answers_that_came_first_are_joined() -> None:
    assert together(store(mail("3", answers="2"), mail("2", answers="1"), mail("1")))


def test_answers_to_what_never_came_are_together() -> None:
    assert together(store(mail("2", answers="1"), mail("3", answers="1")))
    assert together(store(mail("5", refs=["4"]), mail("6", "Re: Lunch", refs=["4"])))
    assert len(set(store(mail("8", refs=["7"]), mail("9", "Dinner", refs=["7"])))) == 2


def test_a_missing_link_is_bridged_by_references() -> None:
    assert together(store(mail("1"), mail("3", "Re: Lunch", answers="2", refs=["1", "2"])))


def test_a_late_letter_makes_one_conversation_of_two() -> None:
    conversations = store(mail("1"), mail("3", answers="2"), mail("4", answers="3"), mail("2", answers="1"))
    assert conversations == [1, 1, 1, 1]


def test_copies_are_together_and_letters_that_share_an_id_by_accident_are_not() -> None:
    assert together(store(mail("1"), mail("1")))
    assert len(set(store(mail("2", "Monday"), mail("2", "Tuesday")))) == 2


def test_the_server_is_believed() -> None:
    one, two, three = store(
        mail("1", thread="t1"), mail("2", answers="1", thread="t2"), mail("3", "Other", thread="t1")
    )
    assert one == three != two


def test_accounts_have_nothing_in_common() -> None:
    store(mail("1", thread="t"), mail("2"))
    assert store(mail("3", answers="2"), mail("4", thread="t"), account="b") == [3, 4]


def test_a_deleted_letters_keys_are_taken_over() -> None:
    store(mail("2", answers="1"))
    write(lambda: run("DELETE FROM letters"))
    second, third = store(mail("3", answers="1"), mail("4", answers="1"))
    assert second == third == 2


def test_forgetting_leaves_no_key() -> None:
    letter = mail("2", answers="1", refs=["0", "1"])
    store(letter, mail("3", answers="2"))
    write(lambda: threads.forget(ACCOUNT, [replace(letter, letter_id=1)]))
    assert {owner for (owner,) in rows("SELECT letter_id FROM thread_keys")} == {2}


def test_headers_that_are_none_harm_nobody() -> None:
    odd = [
        Threaded(0, None, "no brackets", "<a b> <", "<<<>>>", ""),
        Threaded(0, None, "<x@y>", "<x@y>", "<x@y> " * 50, "s"),  # answers itself
        Threaded(0, None, "<" + "z" * 5_000 + ">", "<é@ü>", "<q@q>" * 10_000, "s"),
    ]
    assert len(set(store(*odd))) == 3
    assert threads.ids_in("<\udc80@x> <a@b><c@d> <\0>") == ["<a@b>", "<c@d>"]


def family(rng: random.Random) -> list[Threaded]:
    """Letters of some threads, with holes, broken clients and shared subjects."""
    letters: list[Threaded] = []
    for number in range(14):
        subject = rng.choice(["Lunch", "Dinner", ""])
        if number and rng.random() < 0.7:
            parent = rng.randrange(number)
            refs = [str(rng.randrange(number)) for _ in range(rng.randrange(3))] + [str(parent)]
            letters.append(mail(
                str(number), rng.choice([f"Re: {subject}", "Changed"]), rng.choice([str(parent), ""]),
                rng.choice([refs, []]),
            ))  # fmt: skip
        else:
            letters.append(mail(str(number), subject))
    return [one for one in letters if rng.random() < 0.8]


def partition(letters: list[Threaded], conversations: list[int]) -> set[frozenset[str]]:
    groups: dict[int, set[str]] = {}
    for letter, conversation in zip(letters, conversations, strict=True):
        groups.setdefault(conversation, set()).add(letter.message_id)
    return {frozenset(group) for group in groups.values()}


@pytest.mark.parametrize("seed", range(25))
def test_the_order_does_not_matter(seed: int) -> None:
    rng = random.Random(seed)
    letters = family(rng)
    expected = partition(letters, store(*letters, account="in order"))
    for attempt in range(3):
        shuffled = rng.sample(letters, len(letters))
        found = store(*shuffled, account=f"{attempt}", at_once=attempt == 0)
        assert partition(shuffled, found) == expected
    cut = len(letters) // 2
    store(*letters[:cut], account="windows", at_once=True)
    store(*letters[cut:], account="windows", at_once=True)
    found = [
        c for (c,) in rows("SELECT conversation_id FROM letters WHERE account_id = 'windows' ORDER BY id")
    ]
    assert partition(letters, found) == expected
