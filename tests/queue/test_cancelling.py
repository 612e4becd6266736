from __future__ import annotations

import pytest

from models import SmtpConfig
from models.database import write
from services import actions, record
from services.errors import ConflictError, NotFoundError
from services.relay import Relay
from tests.queue.making import NOW, M, attempt, change, claimed, ended, tenant, used
from tests.support.relay import add_config, email, events, state, submit


def test_waiting_mail_is_cancelled(relay: Relay) -> None:
    add_config()
    later = submit(relay, NOW, send_at=NOW + 1_000)
    retried = submit(relay, NOW)
    change(retried, state="retry")
    for one in (submit(relay, NOW), later, retried):
        actions.cancel(None, one, NOW + 5)
        assert state(one) == "cancelled"
        assert email(one)["finished_at"] == NOW + 5
        assert events(one) == ["cancelled"]


def test_to_cancel_again_changes_nothing(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW)
    actions.cancel(None, one, NOW)
    actions.cancel(None, one, NOW + 9)
    assert email(one)["finished_at"] == NOW
    assert events(one) == ["cancelled"]


def test_before_the_dot_the_lease_is_taken_away_and_the_quota_given_back(relay: Relay) -> None:
    config = add_config(hourly_limit=10)
    one = claimed(relay, config, to=["a@example.com", "b@example.com"])
    assert used(config, M) == (1, 2)
    actions.cancel(None, one, NOW)
    left = email(one)
    assert left["state"] == "cancelled"
    assert (left["lease"], left["instance_id"], left["charged_minute"]) == (None, None, None)
    assert used(config, M) == (0, 0)
    leased = record.Leased(one, 7, SmtpConfig.get_by_id(config), 1, NOW, 2, ((0, "a@example.com"),))
    assert record.commit(relay.policy, [], record.Dot(leased), NOW) is False, (
        "the worker's dot must be refused"
    )
    assert state(one) == "cancelled"


def test_quota_of_a_claim_that_sent_a_part_already_is_not_given_back(relay: Relay) -> None:
    config = add_config(hourly_limit=10)
    one = claimed(relay, config, to=["a@example.com", "b@example.com"])
    attempt(one, config, NOW)
    actions.cancel(None, one, NOW)
    assert used(config, M) == (1, 2)


def test_after_the_dot_it_is_too_late(relay: Relay) -> None:
    config = add_config()
    one = claimed(relay, config, dot_at=NOW)
    with pytest.raises(ConflictError, match="on the wire"):
        actions.cancel(None, one, NOW)
    assert (state(one), email(one)["lease"]) == ("sending", 7)


@pytest.mark.parametrize("final", ["sent", "failed", "unknown"])
def test_mail_that_is_over_is_not_cancelled(relay: Relay, final: str) -> None:
    add_config()
    one = ended(relay, final)
    with pytest.raises(ConflictError, match=final):
        actions.cancel(None, one, NOW)
    assert state(one) == final


def test_another_tenants_email_is_not_found(relay: Relay) -> None:
    add_config(shared=True)
    one = submit(relay, NOW, tenant("ours"))
    for whose in ("theirs", ""):
        with pytest.raises(NotFoundError):
            actions.cancel(whose, one, NOW)
    actions.cancel("ours", one, NOW)
    assert state(one) == "cancelled"


@pytest.mark.parametrize("email_id", [0, -1, 999, 10**30])
def test_an_email_that_is_not_there_is_not_found(relay: Relay, email_id: int) -> None:
    with pytest.raises(NotFoundError):
        actions.cancel(None, email_id, NOW)


def test_a_move_that_lost_its_race_is_refused(relay: Relay) -> None:
    # Given an email that was read as queued
    add_config()
    one = actions.find(None, submit(relay, NOW))
    # When a worker claims it before the change is written
    change(one.id, state="sending", lease=9)
    # Then the change finds nothing
    with pytest.raises(ConflictError, match="meanwhile"):
        write(lambda: actions._move(one, NOW, state="cancelled"))
    assert state(one.id) == "sending"
