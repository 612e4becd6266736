from __future__ import annotations

import pytest

from models.database import rows
from services import expire
from services.relay import Relay
from tests.queue.making import NOW, change, change_recipient, claimed, ended
from tests.support.database import sqlite_only
from tests.support.relay import add_config, email, events, recipient_states, state, submit
from utils.clock import HOUR, iso

DUE = NOW + HOUR


@pytest.mark.parametrize("waiting", ["queued", "retry", "scheduled"])
def test_mail_past_its_time_fails(relay: Relay, waiting: str) -> None:
    add_config()
    one = submit(relay, NOW, expires_at=DUE, to=["a@example.com", "b@example.com"])
    change(one, state=waiting)
    change_recipient(one, 0, state="retry")
    assert expire.expire_due(DUE - 1) == 0
    assert expire.expire_due(DUE) == 1
    row = email(one)
    assert (row["state"], row["finished_at"], row["recipient_count"]) == ("failed", DUE, 0)
    assert row["error_message"] == f"expired at {iso(DUE)}, before it could be sent"
    assert set(recipient_states(one).values()) == {"failed"}
    assert events(one) == ["expired"]
    assert expire.expire_due(DUE) == 0


def test_mail_that_some_have_got_counts_as_sent(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW, expires_at=DUE, to=["a@example.com", "b@example.com"])
    change(one, state="retry")
    change_recipient(one, 0, state="sent")
    expire.expire_due(DUE)
    assert state(one) == "sent"
    assert recipient_states(one) == {"a@example.com": "sent", "b@example.com": "failed"}
    assert "expired" in email(one)["error_message"]


def test_mail_on_its_way_and_mail_that_is_over_is_left_alone(relay: Relay) -> None:
    config = add_config()
    claimed(relay, config, expires_at=DUE)
    for final in ("sent", "failed", "cancelled", "unknown"):
        ended(relay, final, expires_at=DUE)
    submit(relay, NOW)
    before = rows("SELECT * FROM emails")
    assert expire.expire_due(DUE) == 0
    assert rows("SELECT * FROM emails") == before


def test_it_goes_in_steps_up_to_its_limit(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expire, "STEP", 2)
    add_config()
    for _ in range(7):
        submit(relay, NOW, expires_at=DUE)
    assert expire.expire_due(DUE, limit=5) == 5
    assert expire.expire_due(DUE, limit=5) == 2


@sqlite_only
def test_the_index_of_expiring_mail_is_used(relay: Relay) -> None:
    plan = rows(f"EXPLAIN QUERY PLAN SELECT id FROM {expire._EXPIRED} ORDER BY expires_at", DUE)
    assert "USING INDEX emails_expiring (expires_at" in str(plan)
