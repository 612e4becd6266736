"""The fast lane ends in the same rows as the long way, and takes only what is ordinary."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.database import rows, run, write
from models.service import Instance
from services import actions, delivered, record, recover, settle
from services import claim as claims
from services.deliver import connection_failed, leased_of
from services.leased import Dot, Finished, Leased
from services.outcome import Blame, Outcome, Verdict
from services.relay import Relay
from services.smtp import Reason, Reply, SmtpError, Stage
from tests.support.relay import add_config, relay_in, state, submit
from utils.clock import HOUR, MINUTE

NOON = 1_800_000_000_000 // HOUR * HOUR
INSTANCE = 7
YES = Reply(250, "2.0.0", ("queued as 77",))
NO = Reply(550, "5.1.1", ("nobody here",))
LATER = Reply(450, "4.2.0", ("come back",))
VERDICT = {YES: Verdict.SENT, NO: Verdict.FAILED, LATER: Verdict.RETRY}
TABLES = {
    "emails": "state, retry_count, lost_count, recipient_count, lease IS NULL, instance_id, dot_at, charged_minute,"
    " available_at, sort_at, sent_at, finished_at, updated_at, error_message",
    "recipients": "email_id, position, state, code, reply",
    "attempts": "email_id, smtp_config_id, instance_id, claimed_at, dot_at, finished_at, stage, outcome, blame, code,"
    " reply, replies",
    "events": "email_id, type, detail",
    "usage": "smtp_config_id, minute, messages, recipients",
    "health": 'failures, open_until, "window", last_sent',
}


def add_instance() -> None:
    Instance.create(id=INSTANCE, boot_id="b", lock_name="none", host="h", pid=1, started_at=0)


def claim(config: int, at: int, want: int = 10) -> list[Leased]:
    found = claims.claim(config, INSTANCE, at, want, connected=True)
    return leased_of(found) if found else []


def ended(leased: Leased, at: int, *replies: Reply, dot_at: int | None = None) -> Finished:
    """With one reply a recipient, or the same for all."""
    told = replies if len(replies) == len(leased.recipients) else replies * len(leased.recipients)
    results = tuple((VERDICT[reply], reply) for reply in told)
    bad = next((reply for reply in told if reply is not YES), None)
    outcome = Outcome(
        results, Blame.NOBODY if bad is None else Blame.RECIPIENT, str(bad or YES), burns_retry=LATER in told
    )
    return Finished(leased, outcome, "dot", at if dot_at is None else dot_at, at)


def send(relay: Relay, batch: Sequence[Leased], at: int, *replies: Reply) -> list[bool]:
    """As one connection does: the dot of each, recorded with the outcome of the one before."""
    passed, before = [], []
    for one in batch:
        passed.append(record.commit(relay.policy, before, Dot(one), at))
        before = [ended(one, at + 5, *replies, dot_at=at)] if passed[-1] else []
    record.commit(relay.policy, before, None, at + 5)
    return passed


def plain(relay: Relay, config: int) -> None:
    submit(relay, NOON)
    submit(relay, NOON, to=["a@example.com", "b@example.com"], cc=["c@example.com"])
    send(relay, claim(config, NOON + 10), NOON + 20, YES)


def over_the_minute(relay: Relay, config: int) -> None:
    submit(relay, NOON)
    (one,) = claim(config, NOON + MINUTE - 2)
    assert record.commit(relay.policy, [], Dot(one), NOON + MINUTE - 1)
    record.commit(relay.policy, [ended(one, NOON + MINUTE + 1, YES, dot_at=NOON + MINUTE - 1)], None, NOON)


def a_dot_in_the_next_minute(relay: Relay, config: int) -> None:
    submit(relay, NOON)
    (one,) = claim(config, NOON + MINUTE - 2)
    send(relay, [one], NOON + MINUTE + 1, YES)


def the_clock_goes_back_before_the_dot(relay: Relay, config: int) -> None:
    one = submit(relay, NOON)
    batch = claim(config, NOON + HOUR)
    assert send(relay, batch, NOON, YES) == [False], "the quota of an hour later does not hold now"
    record.give_back([one], batch[0].lease, NOON)
    assert rows("SELECT sum(messages) FROM usage") == [(0,)]


def the_clock_goes_back_after_the_dot(relay: Relay, config: int) -> None:
    submit(relay, NOON)
    (one,) = claim(config, NOON + HOUR)
    assert record.commit(relay.policy, [], Dot(one), NOON + HOUR)
    record.commit(relay.policy, [ended(one, NOON, YES, dot_at=NOON + HOUR)], None, NOON)
    assert rows("SELECT minute FROM usage WHERE messages = 1") == [((NOON + HOUR) // MINUTE,)]


def some_fail_then_the_rest_is_sent(relay: Relay, config: int) -> None:
    submit(relay, NOON, to=["a@example.com", "b@example.com", "c@example.com"])
    send(relay, claim(config, NOON), NOON + 1, YES, NO, LATER)
    run_due(NOON + HOUR)
    send(relay, claim(config, NOON + HOUR), NOON + HOUR, YES)


def sent_by_hand_again(relay: Relay, config: int) -> None:
    one = submit(relay, NOON, to=["a@example.com", "b@example.com"])
    send(relay, claim(config, NOON), NOON + 1, YES, NO)
    write(lambda: run("UPDATE emails SET state = 'failed' WHERE id = ?", one))
    actions.retry(relay, None, one, NOON + 9)
    send(relay, claim(config, NOON + 10), NOON + 11, YES)


def cancelled_before_the_dot(relay: Relay, config: int) -> None:
    first, second = submit(relay, NOON), submit(relay, NOON)
    batch = claim(config, NOON)
    actions.cancel(None, second, NOON + 1)
    assert send(relay, batch, NOON + 2, YES) == [True, False]
    assert first != second


def answered_after_the_lease_was_taken_back(relay: Relay, config: int) -> None:
    one = submit(relay, NOON)
    (leased,) = claim(config, NOON)
    assert record.commit(relay.policy, [], Dot(leased), NOON + 1)
    write(lambda: run("UPDATE emails SET lease = NULL, state = 'unknown', dot_at = NULL WHERE id = ?", one))
    record.commit(relay.policy, [ended(leased, NOON + 2, YES, dot_at=NOON + 1)], None, NOON + 2)


def a_further_transaction(relay: Relay, config: int) -> None:
    submit(relay, NOON, to=["a@example.com", "b@example.com"])
    (leased,) = claim(config, NOON)
    assert record.commit(relay.policy, [], Dot(leased), NOON + 1)
    outcome = Outcome(((Verdict.FAILED, NO), (Verdict.AGAIN, LATER)), Blame.RECIPIENT, "too many")
    rest = replace(leased, recipients=leased.recipients[1:], charged=1, fresh=False)
    first = Finished(leased, outcome, "dot", NOON + 1, NOON + 2)
    assert record.commit(relay.policy, [first], Dot(rest), NOON + 2)
    record.commit(relay.policy, [ended(rest, NOON + 3, YES)], None, NOON + 3)


def killed_after_a_dot_that_one_of_two_had(relay: Relay, config: int) -> None:
    one = submit(relay, NOON, to=["a@example.com", "b@example.com"], on_unknown="hold")
    (leased,) = claim(config, NOON)
    assert record.commit(relay.policy, [], Dot(leased, ((1, Verdict.RETRY, LATER),)), NOON)
    recover.take_back(relay.policy, INSTANCE, NOON + 5, rebooted=False)
    add_instance()
    send(relay, claim(config, NOON + 10), NOON + 10, YES)
    assert state(one) == "unknown", "nobody knows of a@example.com yet"


def killed_after_a_dot_that_followed_a_failed_connection(relay: Relay, config: int) -> None:
    one = submit(relay, NOON, on_unknown="hold")
    error = SmtpError(Stage.CONNECT, Reason.REFUSED, "no")
    connection_failed(relay, claim(config, NOON), error, NOON + 1)
    write(lambda: run("UPDATE health SET open_until = NULL, failures = 0"))
    (leased,) = claim(config, NOON + MINUTE)
    assert record.commit(relay.policy, [], Dot(leased), NOON + MINUTE)
    recover.take_back(relay.policy, INSTANCE, NOON + MINUTE + 5, rebooted=False)
    assert state(one) == "unknown", "it may have been sent, and its policy is to hold"


def a_probe(relay: Relay, config: int) -> None:
    submit(relay, NOON)
    write(lambda: run("UPDATE health SET failures = 2, open_until = ?, last_error_at = ?", NOON, NOON - 9))
    (one,) = claim(config, NOON + 1)
    assert one.probe
    send(relay, [replace(one, opened_at=NOON + 1)], NOON + 2, YES)


def a_window_that_grows(relay: Relay, config: int) -> None:
    for _ in range(3):
        submit(relay, NOON)
    write(
        lambda: run("INSERT INTO slots (smtp_config_id, instance_id, connections) VALUES (?, 7, 2)", config)
    )
    send(relay, claim(config, NOON), NOON + 1, YES)


def run_due(now: int) -> None:
    write(lambda: run("UPDATE emails SET state = 'queued' WHERE state = 'retry' AND available_at <= ?", now))


STORIES = (
    plain, over_the_minute, a_dot_in_the_next_minute, the_clock_goes_back_before_the_dot,
    the_clock_goes_back_after_the_dot, some_fail_then_the_rest_is_sent, sent_by_hand_again,
    killed_after_a_dot_that_one_of_two_had, killed_after_a_dot_that_followed_a_failed_connection,
    cancelled_before_the_dot, answered_after_the_lease_was_taken_back, a_further_transaction, a_probe,
    a_window_that_grows,
)  # fmt: skip


def told(folder: Path, story: Callable[[Relay, int], None]) -> dict[str, list[Any]]:
    folder.mkdir()
    with relay_in(folder) as relay:
        add_instance()
        story(relay, add_config(hourly_limit=100))
        return {table: sorted(rows(f"SELECT {columns} FROM {table}")) for table, columns in TABLES.items()}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_both_ways_end_in_the_same_rows(
    story: Callable[[Relay, int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = type("random", (), {"Random": staticmethod(lambda: random.Random(1))})
    monkeypatch.setattr(settle, "random", steady)  # the jitter of retries
    fast = told(tmp_path / "fast", story)
    monkeypatch.setattr(delivered, "is_ordinary", lambda done: False)
    monkeypatch.setattr(delivered, "fence", lambda dots: set())
    assert told(tmp_path / "slow", story) == fast


def test_ordinary_emails_of_all_connections_take_the_fast_lane(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = add_config()
    Instance.create(id=INSTANCE, boot_id="b", lock_name="none", host="h", pid=1, started_at=0)
    monkeypatch.setattr(record, "settle", lambda policy, done: pytest.fail("went the long way"))
    monkeypatch.setattr(record, "_stage", lambda dot, now: pytest.fail("went the long way"))
    for _ in range(3):
        submit(relay, NOON, to=["a@example.com", "b@example.com"])
    send(relay, claim(config, NOON), NOON + 1, YES)
    assert rows("SELECT state, count(*) FROM emails GROUP BY state") == [("sent", 3)]
