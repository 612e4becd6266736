"""What a fault costs, and whom: the config, the email, the quota, or nobody."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from models.database import row, rows, run, write
from models.service import Instance
from models.smtp_config import SmtpConfig
from services import actions, compose, health, quota, record, recover
from services import claim as claims
from services.health import Tried
from services.outcome import Blame, Outcome, Verdict
from services.relay import Relay
from services.smtp import Reply
from tests.support.relay import (
    add_config,
    attempts,
    delivering,
    email,
    events,
    recipient_states,
    state,
    states,
    submit,
    wait_for,
)
from tests.support.relay import health as health_of
from tests.support.sink import Sink
from utils.clock import HOUR, MINUTE, now_ms

NOON = 1_800_000_000_000 // HOUR * HOUR
INSTANCE = 7
ACCEPTED = Reply(250, "2.0.0", ("ok",))


def add_instance() -> None:
    Instance.create(id=INSTANCE, boot_id="b", lock_name="none", host="h", pid=1, started_at=0)


def claimed(relay: Relay, config: int, now: int = NOON, **fields: object) -> record.Leased:
    """One email, submitted and claimed, as a worker holds it."""
    if row("SELECT 1 FROM instances WHERE id = ?", INSTANCE) is None:
        add_instance()
    one = submit(relay, now, **fields)
    claim = claims.claim(config, INSTANCE, now, 1, connected=True)
    assert claim is not None and [found.id for found in claim.emails] == [one]
    people = tuple(rows("SELECT position, address FROM recipients WHERE email_id = ?", one))
    return record.Leased(
        one,
        claim.lease,
        claim.config,
        INSTANCE,
        now,
        len(people),
        people,
        probe=claim.probe,  # type: ignore[arg-type]
    )


def sent(leased: record.Leased, at: int) -> record.Finished:
    outcome = Outcome(tuple((Verdict.SENT, ACCEPTED) for _ in leased.recipients), Blame.NOBODY, "250 ok")
    return record.Finished(leased, outcome, "dot", at, at)


def test_refused_logins_are_not_repeated_while_an_older_connection_works(relay: Relay) -> None:
    refused = 0
    with Sink(auth=("relay", "right"), delay=0.02) as sink:
        config = add_config(
            sink.port, username="relay", password=relay.vault.encrypt("right"), max_connections=4
        )
        with delivering(relay, workers=4):
            submit(relay)
            sink.wait_for(1)
            sink.auth = ("relay", "changed")
            before = sink.connections
            for _ in range(60):
                submit(relay)
            time.sleep(3)
            refused = sink.connections - before
    assert refused <= 2, "a provider would lock the account"
    assert "login refused" in health_of(config).last_error


def test_a_provider_of_few_connections_is_asked_for_more_ever_less_often(relay: Relay) -> None:
    with Sink(delay=0.01) as sink:
        sink.hooks.on_connect = lambda: "421 4.3.2 too many connections" if sink.open_now > 1 else None
        config = add_config(sink.port, max_connections=5)
        for _ in range(150):
            submit(relay)
        with delivering(relay, workers=4):
            wait_for(lambda: states().get("sent") == 150, 30)
        assert sink.connections <= 6
    assert health_of(config).open_until is None, "an account that works is not shut for its being crowded"


def test_a_success_on_an_older_connection_does_not_close_the_breaker(relay: Relay) -> None:
    config = add_config()
    old = Tried(config, 5, INSTANCE, probe=False, opened_at=None)
    write(lambda: health.failed(Tried(config, 5, 1, False, NOON), "refused", NOON, opening=True))
    write(lambda: health.succeeded(old, NOON + 1))
    assert health_of(config).open_until is not None
    write(lambda: health.succeeded(replace(old, probe=True), NOON + 2))
    assert health_of(config).open_until is None
    assert health_of(config).failures == 1, "new sessions have not shown to be welcome"
    write(lambda: health.succeeded(replace(old, opened_at=NOON + 3), NOON + 4))
    assert health_of(config).failures == 0


def test_a_cancelled_probe_leaves_the_config_usable(relay: Relay) -> None:
    with Sink() as sink:
        config = add_config(sink.port)
        one = submit(relay)
        sink.hooks.on_rcpt = lambda recipient: actions.cancel(None, one, now_ms()) if one else None
        write(lambda: run("UPDATE health SET failures = 1, open_until = 1 WHERE smtp_config_id = ?", config))
        with delivering(relay, workers=1):
            wait_for(lambda: state(one) == "cancelled")
            sink.hooks.on_rcpt = lambda recipient: None
            other = submit(relay)
            wait_for(lambda: state(other) == "sent")
        assert len(sink.messages) == 1


def test_a_fault_of_the_database_does_not_fail_the_email(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = iter([OSError("disk I/O error"), OSError("disk I/O error")])
    whole = compose.load

    def read(*arguments: object) -> object:
        for error in broken:
            raise error
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(compose, "load", read)
    with Sink() as sink:
        add_config(sink.port)
        with delivering(relay, workers=1):
            one = submit(relay)
            wait_for(lambda: state(one) == "sent")
    assert [attempt["outcome"] for attempt in attempts(one)] == ["sent"]
    assert quota.windows(1, now_ms()).hour_used == 1


def test_a_server_that_ends_connections_between_emails_costs_nothing(relay: Relay) -> None:
    with Sink() as sink:
        served: dict[int, int] = {}

        def three_each(sender: str) -> str | None:
            count = served[sink.connections] = served.get(sink.connections, 0) + 1
            return "421 4.7.0 enough for one connection" if count > 3 else None

        sink.hooks.on_mail = three_each
        config = add_config(sink.port, max_connections=1)
        ids = [submit(relay) for _ in range(20)]
        with delivering(relay, workers=1):
            wait_for(lambda: states() == {"sent": 20})
    assert all(email(one)["lost_count"] == 0 and len(attempts(one)) == 1 for one in ids)
    assert health_of(config).failures == 0


def test_a_closing_answer_to_one_email_is_not_held_against_the_next(relay: Relay) -> None:
    with Sink() as sink:
        config = add_config(sink.port, max_connections=1)
        sink.hooks.on_data = lambda message: "421 4.7.0 spam" if b"spam" in message.data else None
        bad, good = submit(relay, text="spam"), submit(relay)
        with delivering(relay, workers=1):
            wait_for(lambda: state(good) == "sent")
            wait_for(lambda: state(bad) == "retry")
    assert len(attempts(good)) == 1
    assert health_of(config).failures == 0


def test_every_transaction_of_an_email_counts_as_a_message(relay: Relay) -> None:
    with Sink() as sink:
        sink.hooks.on_rcpt = lambda recipient: (
            None
            if int(recipient[1 : recipient.index("@")]) < sum(len(m.rcpt_tos) for m in sink.messages) + 3
            else "452 4.5.3 too many recipients"
        )
        config = add_config(sink.port, hourly_limit=2)
        with delivering(relay, workers=1):
            one = submit(relay, to=[f"r{n}@example.com" for n in range(9)])
            wait_for(lambda: sink.accepted == 2 and state(one) == "queued")
            time.sleep(0.5)
        assert sink.accepted == 2, "the third would be one message more than the limit"
    assert quota.windows(config, now_ms()).hour_used == 2
    assert sorted(recipient_states(one).values()) == ["retry"] * 3 + ["sent"] * 6
    assert email(one)["recipient_count"] == 3 and email(one)["retry_count"] == 0
    assert rows("SELECT sum(recipients) FROM usage") == [(6,)]


def test_a_crash_leaves_only_accepted_recipients_in_doubt(relay: Relay) -> None:
    config = add_config()
    held = claimed(relay, config, to=["a@x.test", "b@x.test", "c@x.test"], on_unknown="hold")
    refused = (
        (1, Verdict.FAILED, Reply(550, "5.1.1", ("no such user",))),
        (2, Verdict.RETRY, Reply(450, "4.2.0", ("later",))),
    )
    assert record.commit(relay.policy, [], record.Dot(held, refused), NOON + 1)
    recover.take_back(relay.policy, INSTANCE, NOON + 2, rebooted=False)
    assert recipient_states(held.email_id) == {
        "a@x.test": "unknown",
        "b@x.test": "failed",
        "c@x.test": "retry",
    }


def test_an_answer_that_comes_late_settles_what_is_held_or_waits(relay: Relay) -> None:
    config = add_config()
    for policy in ("hold", "resend"):
        leased = claimed(relay, config, on_unknown=policy)
        assert record.commit(relay.policy, [], record.Dot(leased), NOON + 1)
        recover.take_back(relay.policy, INSTANCE, NOON + 2, rebooted=False)
        assert state(leased.email_id) == ("unknown" if policy == "hold" else "queued")
        record.commit(relay.policy, [sent(leased, NOON + 3)], None, NOON + 3)
        assert state(leased.email_id) == "sent"
        assert events(leased.email_id) == ["unknown", "late_reply"]


def test_an_answer_that_comes_late_does_not_touch_who_sends_it_again(relay: Relay) -> None:
    config = add_config()
    leased = claimed(relay, config)
    assert record.commit(relay.policy, [], record.Dot(leased), NOON + 1)
    recover.take_back(relay.policy, INSTANCE, NOON + 2, rebooted=False)
    add_instance()
    again = claims.claim(config, INSTANCE, NOON + 3, 1, connected=True)
    assert again is not None
    record.commit(relay.policy, [sent(leased, NOON + 4)], None, NOON + 4)
    assert state(leased.email_id) == "sending"
    assert row("SELECT lease FROM emails") == (again.lease,)


def test_repeated_crashes_after_the_dot_are_bounded_by_the_retries(relay: Relay) -> None:
    config = add_config()
    leased = claimed(relay, config, max_retries=1)
    now = NOON
    for _ in range(2):
        now += 10 * MINUTE
        assert record.commit(relay.policy, [], record.Dot(leased), now)
        recover.take_back(relay.policy, INSTANCE, now, rebooted=False)
        if state(leased.email_id) != "queued":
            break
        add_instance()
        claim = claims.claim(config, INSTANCE, now, 1, connected=True)
        assert claim is not None
        leased = replace(leased, lease=claim.lease)
    assert state(leased.email_id) == "unknown", "not sent for ever, and not called failed either"
    assert email(leased.email_id)["retry_count"] == 2


def test_an_email_in_hand_at_three_deaths_is_put_off(relay: Relay) -> None:
    config = add_config()
    leased = claimed(relay, config)
    for death in range(3):
        assert state(leased.email_id) == "sending"
        recover.take_back(relay.policy, INSTANCE, NOON + death, rebooted=False)
        add_instance()
        claims.claim(config, INSTANCE, NOON + death, 1, connected=True)
    assert state(leased.email_id) == "retry"
    assert email(leased.email_id)["retry_count"] == 1
    assert quota.windows(config, NOON).hour_used == 0


def test_a_dot_is_refused_to_a_claim_whose_quota_may_have_been_spent_anew(relay: Relay) -> None:
    leased = claimed(relay, add_config())
    assert not record.commit(relay.policy, [], record.Dot(leased), NOON + 45 * MINUTE)
    assert record.commit(relay.policy, [], record.Dot(leased), NOON + 20 * MINUTE)


def test_mail_whose_dot_may_be_out_is_never_given_back(relay: Relay) -> None:
    leased = claimed(relay, add_config())
    assert record.commit(relay.policy, [], record.Dot(leased), NOON + 1)
    record.give_back([leased.email_id], leased.lease, NOON + 2)
    assert state(leased.email_id) == "sending"
    recover.take_back_started(relay.policy, [leased.email_id], leased.lease, NOON + 3)
    assert events(leased.email_id) == ["unknown"]
    assert state(leased.email_id) == "queued"


def test_the_end_of_an_instance_frees_its_connections_and_its_probe(relay: Relay) -> None:
    config = add_config()
    add_instance()
    write(lambda: (health.take_slot(config, INSTANCE), health.begin_probe(config, INSTANCE)))
    recover.take_back(relay.policy, INSTANCE, NOON, rebooted=False)
    assert rows("SELECT * FROM slots") == []
    assert health_of(config).probe_instance is None


def test_a_hung_claim_is_ended_and_counts_against_the_config(relay: Relay) -> None:
    config = add_config()
    leased = claimed(relay, config)
    recover.take_back_lease(relay.policy, leased.lease, "it hung", NOON + 1)
    assert state(leased.email_id) == "queued"
    assert health_of(config).failures == 1 and health_of(config).open_reason == "it hung"


def test_a_claim_with_outdated_settings_is_refused(relay: Relay) -> None:
    config = add_config()
    add_instance()
    submit(relay, NOON)
    known = SmtpConfig.get_by_id(config)
    run("UPDATE smtp_configs SET updated_at = updated_at + 1 WHERE id = ?", config)
    assert claims.claim(config, INSTANCE, NOON, 1, connected=True, known=known) is None
    known = SmtpConfig.get_by_id(config)
    assert claims.claim(config, INSTANCE, NOON, 1, connected=True, known=known) is not None
