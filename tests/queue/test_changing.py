from __future__ import annotations

import pytest

from models import Lane
from services.actions import Patch, patch
from services.errors import ConflictError, InvalidInputError
from services.relay import Relay
from tests.queue.making import NOW, STEP, change, claimed, ended, tenant
from tests.support.relay import add_config, email, events, submit
from utils.clock import DAY, HOUR


def test_a_new_priority_is_a_new_place(relay: Relay, woken: list[bool]) -> None:
    add_config()
    one = submit(relay, NOW, priority=5)
    patch(relay, None, one, Patch(priority=1), NOW + 9)
    assert (email(one)["priority"], email(one)["sort_at"]) == (1, NOW)
    assert email(one)["state"] == "queued"
    assert events(one) == ["changed"]
    assert woken


def test_a_new_time_schedules_it_and_a_past_one_queues_it(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW, priority=2)
    patch(relay, None, one, Patch(send_at=NOW + HOUR), NOW)
    row = email(one)
    assert (row["state"], row["available_at"], row["sort_at"]) == ("scheduled", NOW + HOUR, NOW + HOUR + STEP)
    patch(relay, None, one, Patch(send_at=NOW - HOUR), NOW + 5)
    row = email(one)
    assert (row["state"], row["available_at"], row["sort_at"]) == ("queued", NOW + 5, NOW + 5 + STEP)


def test_its_age_counts_from_when_it_is_to_go(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW)
    assert email(one)["due_at"] == NOW
    patch(relay, None, one, Patch(priority=1), NOW + 5)
    assert email(one)["due_at"] == NOW
    patch(relay, None, one, Patch(send_at=NOW + HOUR), NOW + 5)
    assert email(one)["due_at"] == NOW + HOUR
    patch(relay, None, one, Patch(send_at=NOW), NOW + 9)
    assert email(one)["due_at"] == NOW + 9
    assert email(submit(relay, NOW, send_at=NOW + DAY))["due_at"] == NOW + DAY


def test_a_retried_email_keeps_its_time_when_only_its_priority_changes(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW)
    change(one, state="retry", available_at=NOW + HOUR)
    patch(relay, None, one, Patch(priority=1), NOW)
    assert (email(one)["state"], email(one)["sort_at"]) == ("retry", NOW + HOUR)


def test_it_is_pinned_and_unpinned_with_its_lane(relay: Relay) -> None:
    config = add_config()
    one = submit(relay, NOW)
    pool = email(one)["lane_id"]
    patch(relay, None, one, Patch(smtp_config_id=config), NOW)
    assert email(one)["smtp_config_id"] == config
    assert Lane.get_by_id(email(one)["lane_id"]).smtp_config_id == config
    patch(relay, None, one, Patch(smtp_config_id=None), NOW)
    assert (email(one)["smtp_config_id"], email(one)["lane_id"]) == (None, pool)


def test_what_is_not_named_stays(relay: Relay) -> None:
    config = add_config()
    one = submit(relay, NOW, smtp_config_id=config)
    before = email(one)
    patch(relay, None, one, Patch(priority=1), NOW)
    assert email(one) == before | {"priority": 1, "sort_at": NOW, "updated_at": NOW}


def test_it_is_not_pinned_to_a_config_that_its_tenant_may_not_use(relay: Relay) -> None:
    shared = add_config(shared=True)
    foreign = add_config(tenant="theirs")
    private = add_config(shared=False)
    one = submit(relay, NOW, tenant("ours"))
    before = email(one)
    for config in (foreign, private, 999):
        with pytest.raises(InvalidInputError) as caught:
            patch(relay, None, one, Patch(smtp_config_id=config), NOW)
        assert caught.value.field == "smtp_config_id"
    assert email(one) == before
    patch(relay, None, one, Patch(smtp_config_id=shared), NOW)
    assert email(one)["smtp_config_id"] == shared


def test_it_is_not_pinned_to_a_config_that_may_never_send_to_so_many(relay: Relay) -> None:
    add_config()
    small = add_config(hourly_limit=2, limit_unit="recipients")
    one = submit(relay, NOW, to=["a@example.com", "b@example.com", "c@example.com"])
    before = email(one)
    with pytest.raises(InvalidInputError) as caught:
        patch(relay, None, one, Patch(smtp_config_id=small), NOW)
    assert (caught.value.code, caught.value.field) == ("OVER_LIMIT", "recipients")
    assert email(one) == before


def test_a_wrong_change_changes_nothing_at_all(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW)
    before = email(one)
    with pytest.raises(InvalidInputError):
        patch(relay, None, one, Patch(priority=1, smtp_config_id=999), NOW)
    assert email(one) == before
    assert events(one) == []


def test_a_time_after_its_expiry_or_in_more_than_a_year_is_refused(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW, expires_at=NOW + HOUR)
    for send_at in (NOW + HOUR, NOW + 400 * DAY):
        with pytest.raises(InvalidInputError) as caught:
            patch(relay, None, one, Patch(send_at=send_at), NOW)
        assert caught.value.field == "send_at"


def test_mail_that_does_not_wait_is_not_changed(relay: Relay) -> None:
    config = add_config()
    for one in (
        claimed(relay, config),
        *(ended(relay, s) for s in ("sent", "failed", "cancelled", "unknown")),
    ):
        before = email(one)
        with pytest.raises(ConflictError):
            patch(relay, None, one, Patch(priority=1), NOW)
        assert email(one) == before
