"""Reports that real servers made for mail that really went out, read from the mailbox that they came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models.database import rows
from services import reports, suppressions
from services.principal import Principal, Scope
from services.relay import Relay
from services.sync.run import Run
from tests.reports.playground import World, world
from tests.support.dovecot import FULL, shared
from tests.support.relay import (
    add_config,
    delivering,
    events,
    recipient_states,
    relay_in,
    state,
    submit,
    wait_for,
)  # fmt: skip
from tests.support.syncing import Mailbox
from utils.clock import now_ms

ACME = Principal(None, "tests", service=False, tenant="acme", user="ann", scopes=frozenset(Scope))


@pytest.fixture(scope="module")
def place() -> Iterator[World]:
    """One Postfix for all."""
    with world() as found:
        yield found


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    with relay_in(tmp_path, allow_private_hosts=True) as relay:
        yield relay


@pytest.fixture
def mailbox(relay: Relay) -> Mailbox:
    return Mailbox(shared(FULL))


def reported(relay: Relay, mailbox: Mailbox, condition: Callable[[], bool]) -> None:
    """Sync until the condition holds, as a poller would."""

    def prepare(run_: Run) -> None:
        run_.look_at = lambda letters: reports.look_at(relay, letters, now_ms())

    def looked() -> bool:
        mailbox.sync(prepare)
        return condition()

    wait_for(looked, 60)


def send(relay: Relay, mailbox: Mailbox, port: int, *mails: tuple[str, ...], **config: object) -> list[int]:
    """The ids of emails that Postfix has taken, to these people each."""
    add_config(port, tenant="acme", email_address=mailbox.user, **config)
    ids = [submit(relay, who=ACME, to=list(people)) for people in mails]
    with delivering(relay):
        wait_for(lambda: {state(one) for one in ids} == {"sent"})
    return ids


def listed() -> list[str]:
    return [one["address"] for one in suppressions.listed("acme", suppressions.Filters(), 100)]


def bounced(email_id: int) -> list[str]:
    return sorted(one for one, told in recipient_states(email_id).items() if told == "bounced")


def replies(email_id: int) -> dict[str, str]:
    return dict(rows("SELECT address, reply FROM recipients WHERE email_id = ?", email_id))


def test_refusals_end_at_the_right_recipient_of_the_right_email(
    relay: Relay, mailbox: Mailbox, place: World
) -> None:
    here = mailbox.server.user()
    mails = [("ann@gone.test", here), ("bob@full.test", here), ("rejects@sieve.test", here)]
    ids = send(relay, mailbox, place.ports.plain, *mails, ("ann@gone.test", "bob@full.test"))
    expected = [
        ["ann@gone.test"],
        ["bob@full.test"],
        ["rejects@sieve.test"],
        ["ann@gone.test", "bob@full.test"],
    ]
    reported(relay, mailbox, lambda: [bounced(one) for one in ids] == expected)
    assert listed() == ["ann@gone.test"]
    assert "uota exceeded" in replies(ids[1])["bob@full.test"]
    assert "I take no mail from you." in replies(ids[2])["rejects@sieve.test"]
    assert [recipient_states(one)[here] for one in ids[:3]] == ["sent"] * 3
    assert {state(one) for one in ids} == {"sent"}


def test_delays_are_told_and_only_the_end_counts(relay: Relay, mailbox: Mailbox, place: World) -> None:
    """A host that is down, one that never speaks, and one that puts off: each is waited for, then given up."""
    people = ("ann@busy.test", "ann@down.test", "ann@silent.test")
    (email_id,) = send(relay, mailbox, place.ports.plain, people)
    reported(relay, mailbox, lambda: "delayed" in events(email_id))
    if "bounced" not in events(email_id):  # a slow machine sees both at once
        assert set(recipient_states(email_id).values()) == {"sent"}
    reported(relay, mailbox, lambda: bounced(email_id) == list(people))
    told = replies(email_id)
    assert "Greylisted" in told["ann@busy.test"]
    assert "refused" in told["ann@down.test"]
    assert "timed out" in told["ann@silent.test"]
    assert sorted(events(email_id)) == ["bounced"] * 3 + ["delayed"] * 3
    assert listed() == []


@pytest.mark.parametrize("verp", [True, False])
def test_mail_that_was_given_another_message_id_is_found(
    relay: Relay, mailbox: Mailbox, place: World, verp: bool
) -> None:
    """By the address that the bounce came to; without, by the queue id that the 250 had named."""
    ids = send(
        relay, mailbox, place.ports.renaming, ("ann@gone.test",), ("ann@gone.test", "bob@full.test"),
        (mailbox.server.user(),), verp=verp,
    )  # fmt: skip
    reported(
        relay, mailbox, lambda: [len(bounced(one)) for one in ids] == [1, 2, 0]
    )  # fmt: skip
    marks = [b"+mf=" in headers.encode() for (headers,) in rows("SELECT headers FROM letters")]
    assert set(marks) == {verp}
    assert "given-by-the-provider" not in "".join(replies(ids[0]).values())
    assert listed() == (["ann@gone.test"] if verp else [])  # a queue id is no proof


def test_a_vacation_notice_is_the_answer_of_a_machine(relay: Relay, mailbox: Mailbox, place: World) -> None:
    ids = send(relay, mailbox, place.ports.plain, ("away@sieve.test",), ("ann@gone.test",))
    reported(relay, mailbox, lambda: "auto_replied" in events(ids[0]))
    assert recipient_states(ids[0]) == {"away@sieve.test": "sent"}
    assert "auto_replied" not in events(ids[1])
