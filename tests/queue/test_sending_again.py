from __future__ import annotations

import pytest

from services import actions, configs
from services.errors import ConflictError, InvalidInputError, NotFoundError
from services.relay import Relay
from tests.queue.making import NOW, STEP, change, change_recipient, ended, tenant
from tests.support.relay import SERVICE, add_config, email, events, recipient_states, state, submit


@pytest.mark.parametrize("final", ["failed", "cancelled", "unknown"])
def test_it_is_queued_again_with_fresh_retries(relay: Relay, woken: list[bool], final: str) -> None:
    add_config()
    one = ended(relay, final, priority=2)
    change(one, retry_count=9, lost_count=2, error_message="550 no")
    actions.retry(relay, None, one, NOW + 7)
    row = email(one)
    assert (row["state"], row["retry_count"], row["lost_count"]) == ("queued", 0, 0)
    assert (row["available_at"], row["sort_at"], row["finished_at"]) == (NOW + 7, NOW + 7 + STEP, None)
    assert row["due_at"] == NOW + 7, "its age counts anew"
    assert row["error_message"] == "550 no", "kept until there is a new outcome"
    assert events(one) == ["requeued"]
    assert woken


def test_only_those_who_have_not_got_it_are_tried(relay: Relay) -> None:
    add_config()
    one = ended(relay, "unknown", to=["a@example.com", "b@example.com", "c@example.com"])
    change_recipient(one, 0, state="sent")
    change_recipient(one, 1, state="failed")
    actions.retry(relay, None, one, NOW)
    assert recipient_states(one) == {
        "a@example.com": "sent",
        "b@example.com": "pending",
        "c@example.com": "pending",
    }
    assert email(one)["recipient_count"] == 2


def test_mail_that_waits_or_was_sent_is_not_queued_again(relay: Relay, woken: list[bool]) -> None:
    add_config()
    for one in (submit(relay, NOW), submit(relay, NOW, send_at=NOW + 9), ended(relay, "sent")):
        before = email(one)
        with pytest.raises(ConflictError):
            actions.retry(relay, None, one, NOW)
        assert email(one) == before


def test_without_content_or_past_its_time_it_is_not_queued_again(relay: Relay) -> None:
    add_config()
    erased, expired = ended(relay, "failed"), ended(relay, "failed", expires_at=NOW + 10)
    actions.erase(None, erased, NOW)
    for one, code in ((erased, "CONTENT_ERASED"), (expired, "EXPIRED")):
        with pytest.raises(ConflictError) as caught:
            actions.retry(relay, None, one, NOW + 10)
        assert caught.value.code == code
        assert state(one) == "failed"
        assert set(recipient_states(one).values()) == {"failed"}


def test_it_is_not_queued_for_a_config_that_cannot_carry_it_any_more(relay: Relay) -> None:
    pinned, pool = add_config(), add_config(from_domains=["shop.test"])
    gone = ended(relay, "failed", smtp_config_id=pinned)
    lost = ended(relay, "failed", sender="ann@shop.test")
    many = ended(relay, "failed", smtp_config_id=pool, to=["a@example.com", "b@example.com"])
    configs.delete(SERVICE, pinned)
    configs.update(
        relay, SERVICE, pool, {"from_domains": [], "hourly_limit": 1, "limit_unit": "recipients"}, NOW
    )
    for one, code, field in (
        (gone, "UNKNOWN_SMTP_CONFIG", "smtp_config_id"),
        (lost, "SENDER_NOT_ALLOWED", "sender"),
        (many, "OVER_LIMIT", "recipients"),
    ):
        before, recipients = email(one), recipient_states(one)
        with pytest.raises(ConflictError) as caught:
            actions.retry(relay, None, one, NOW)
        assert (caught.value.code, caught.value.field) == (code, field)
        assert (email(one), recipient_states(one)) == (before, recipients)


def test_those_who_have_got_it_do_not_count_for_a_limit(relay: Relay) -> None:
    pool = add_config()
    one = ended(relay, "unknown", to=["a@example.com", "b@example.com"])
    change_recipient(one, 0, state="sent")
    configs.update(relay, SERVICE, pool, {"hourly_limit": 1, "limit_unit": "recipients"}, NOW)
    actions.retry(relay, None, one, NOW)
    assert state(one) == "queued"


def test_an_unknown_email_is_settled(relay: Relay) -> None:
    add_config()
    for outcome in ("sent", "failed"):
        one = ended(relay, "unknown")
        actions.resolve(None, one, outcome, NOW + 3)
        row = email(one)
        assert (row["state"], row["finished_at"]) == (outcome, NOW + 3)
        assert row["sent_at"] == (NOW + 3 if outcome == "sent" else None)
        assert recipient_states(one) == {"ann@example.com": outcome}
        assert events(one) == ["resolved"]


def test_settling_touches_unknown_recipients_only(relay: Relay) -> None:
    add_config()
    one = ended(relay, "unknown", to=["a@example.com", "b@example.com"])
    change_recipient(one, 0, state="sent")
    actions.resolve(None, one, "failed", NOW)
    assert recipient_states(one) == {"a@example.com": "sent", "b@example.com": "failed"}
    assert state(one) == "sent", "at least one was accepted, and none is left to try"


@pytest.mark.parametrize("other", ["sent", "failed", "cancelled"])
def test_only_unknown_mail_is_settled(relay: Relay, other: str) -> None:
    add_config()
    one = ended(relay, other)
    with pytest.raises(ConflictError, match="only unknown"):
        actions.resolve(None, one, "sent", NOW)
    assert state(one) == other


def test_an_outcome_is_sent_or_failed(relay: Relay) -> None:
    add_config()
    with pytest.raises(InvalidInputError):
        actions.resolve(None, ended(relay, "unknown"), "queued", NOW)


def test_another_tenants_email_is_not_found(relay: Relay) -> None:
    add_config(shared=True)
    one = ended(relay, "unknown", who=tenant("ours"))
    for act in (
        lambda: actions.retry(relay, "theirs", one, NOW),
        lambda: actions.resolve("theirs", one, "sent", NOW),
        lambda: actions.patch(relay, "theirs", one, actions.Patch(priority=1), NOW),
        lambda: actions.erase("theirs", one, NOW),
    ):
        with pytest.raises(NotFoundError):
            act()
    assert state(one) == "unknown"
    assert events(one) == []
