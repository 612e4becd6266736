"""Whatever somebody else does to the mailbox, and wherever the connection breaks: after a pass both are the same."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

from models.database import rows
from services.imap import ImapError
from services.sync.run import Counts
from tests.support.cutting import cut_after
from tests.support.dovecot import PROFILES, shared
from tests.support.syncing import Mailbox
from tests.sync.wandering import Hand

SEEDS = range(1, 21)
LONG = 2_000
SHORT = 80


def wander(profile: str, seed: int, operations: int) -> None:
    chance = random.Random(-seed)
    mailbox = Mailbox(shared(profile))
    hand = Hand(mailbox, seed)
    done = 0
    while done < operations:
        for _ in range(chance.choice([1, 1, 2, 3, 5, 8, 20])):
            hand.act()
            done += 1
        if chance.random() < 0.25:
            sync_through_a_cut(mailbox, hand, chance)
        mailbox.sync()
        check(mailbox, f"{profile}, seed {seed}, after {done}: {hand.did[-12:]}")
    hand.close()
    mailbox.sync()
    mailbox.sync()
    assert rows("SELECT count(*) FROM messages WHERE gone_at IS NOT NULL") == [(0,)]
    assert rows(
        "SELECT count(*) FROM letters WHERE NOT EXISTS (SELECT 1 FROM messages WHERE letter_id = letters.id)"
    ) == [(0,)]


def sync_through_a_cut(mailbox: Mailbox, hand: Hand, chance: random.Random) -> None:
    with cut_after(int(10 ** chance.uniform(2, 5)), mailbox.server.imap) as port:
        mailbox.port = port
        hand.did.append("cut")
        with suppress(ImapError):
            mailbox.sync()
    mailbox.port = None


def check(mailbox: Mailbox, told: str) -> None:
    ours, theirs = mailbox.ours(), mailbox.theirs()
    assert ours.keys() == theirs.keys(), told
    for folder, messages in theirs.items():
        assert ours[folder] == messages, f"{folder}: {told}"
    assert rows("SELECT count(*) FROM letters WHERE NOT has_body") == [(0,)], told
    assert rows("SELECT count(*) FROM quarantined") == [(0,)], told
    assert (
        rows(
            "SELECT id FROM folders f WHERE missed = 0 AND message_count <> (SELECT count(*) FROM messages m"
            " WHERE m.folder_id = f.id AND gone_at IS NULL)"
        )
        == []
    ), told


@pytest.mark.parametrize("seed", SEEDS[:1])
@pytest.mark.parametrize("profile", PROFILES)
def test_both_are_the_same_after_each_pass(profile: str, seed: int) -> None:
    wander(profile, seed, SHORT)


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("profile", PROFILES)
def test_both_are_the_same_after_each_pass_for_long(profile: str, seed: int) -> None:
    wander(profile, seed, LONG)


def test_a_cut_costs_nothing_that_was_done_before_it() -> None:
    """Each attempt gets as far as the same number of bytes; all attempts together bring everything."""
    mailbox = Mailbox(shared())
    hand = Hand(mailbox, 99)
    for _ in range(60):
        hand.append()
    hand.close()
    counts: list[Counts] = []
    with cut_after(150_000, mailbox.server.imap) as port:
        mailbox.port = port
        for _ in range(40):
            with suppress(ImapError):
                counts.append(mailbox.sync())
                break
    assert counts, "it never came to an end"
    check(mailbox, "")
