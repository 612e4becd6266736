from __future__ import annotations

import json

import pytest

from models import SmtpConfig
from models.database import run, write
from services import reading
from services.errors import ConflictError, NotFoundError
from services.relay import Relay
from tests.queue.making import NOW, attempt, change, change_recipient, tenant
from tests.support.relay import add_config, submit
from utils.clock import HOUR, iso
from utils.mime import Attachment


def test_it_has_all_the_fields_that_were_promised(relay: Relay) -> None:
    config = add_config(name="Gmail Account", email_address="me@gmail.com", display_name="My Name")
    one = submit(
        relay, NOW, subject="Test Email", to=["Ann <r1@example.com>", "r2@example.com"], cc=["cc@example.com"],
        bcc=["bcc@example.com"], priority=1, smtp_config_id=config, tags=["a"], metadata={"k": [1]},
        reply_to=["Bob <bob@example.com>"], attachments=[Attachment("a.txt", "text/plain", b"12345", "cid")],
        expires_at=NOW + HOUR, on_unknown="hold",
    )  # fmt: skip
    found = reading.email_detail(relay, None, one, NOW)
    assert found | {
        "id": one, "subject": "Test Email", "sender": "me@gmail.com", "sender_name": "My Name",
        "recipients": ["r1@example.com", "r2@example.com"], "cc": ["cc@example.com"], "bcc": ["bcc@example.com"],
        "status": "queued", "priority": 1, "retry_count": 0, "smtp_config": "Gmail Account", "created_at": iso(NOW),
        "updated_at": iso(NOW), "sent_at": None, "error_message": None, "tags": ["a"], "metadata": {"k": [1]},
        "reply_to": ["bob@example.com"], "expires_at": iso(NOW + HOUR), "send_at": None, "on_unknown": "hold",
        "attempts": [], "has_content": True, "tenant_id": None,
        "attachments": [{"filename": "a.txt", "content_type": "text/plain", "content_id": "cid", "size": 5}],
    } == found  # fmt: skip
    assert found["recipient_states"][0] == {
        "address": "r1@example.com", "name": "Ann", "kind": "to", "state": "pending", "code": None, "reply": None,
    }  # fmt: skip
    assert json.loads(json.dumps(found)) == found


def test_attempts_and_replies_are_told(relay: Relay) -> None:
    config = add_config(name="one")
    one = submit(relay, NOW)
    change(one, state="retry", available_at=NOW + HOUR, carrier_id=config)
    change_recipient(one, 0, state="retry", code=450, reply="try later")
    attempt(
        one,
        config,
        outcome="retry",
        code=450,
        reply="try later",
        replies=[["ann@example.com", "retry", "later"]],
    )
    found = reading.email_detail(relay, None, one, NOW)
    assert found["recipient_states"][0]["reply"] == "try later"
    assert found["next_attempt_at"] == iso(NOW + HOUR)
    told = found["attempts"][0]
    assert (told["smtp_config"], told["outcome"], told["code"]) == ("one", "retry", 450)
    assert told["handed_over_at"] == iso(NOW + 10)
    assert told["replies"] == [{"address": "ann@example.com", "verdict": "retry", "reply": "later"}]


def test_a_sender_of_its_own_goes_before_the_configs(relay: Relay) -> None:
    add_config(allow_any_sender=True)
    one = submit(relay, NOW, sender="news@example.org", sender_name="News")
    found = reading.email_detail(relay, None, one, NOW)
    assert (found["sender"], found["sender_name"]) == ("news@example.org", "News")


def test_the_config_that_carried_it_is_named_and_its_loss_is_borne(relay: Relay) -> None:
    config = add_config(name="gone soon")
    one = submit(relay, NOW)
    assert reading.email_detail(relay, None, one, NOW)["smtp_config"] is None
    change(one, carrier_id=config, state="sent")
    attempt(one, config)
    assert reading.email_detail(relay, None, one, NOW)["smtp_config"] == "gone soon"
    write(lambda: SmtpConfig.delete_by_id(config))
    found = reading.email_detail(relay, None, one, NOW)
    assert (found["smtp_config"], found["attempts"][0]["smtp_config"], found["sender"]) == (None, None, None)


def test_a_scheduled_email_tells_its_time(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW, send_at=NOW + HOUR)
    assert reading.email_detail(relay, None, one, NOW)["send_at"] == iso(NOW + HOUR)


def test_a_tenant_reads_its_own_only(relay: Relay) -> None:
    add_config(shared=True)
    ours = submit(relay, NOW, tenant("ours"))
    assert reading.email_detail(relay, "ours", ours, NOW)["tenant_id"] == "ours"
    for whose in ("theirs", ""):
        with pytest.raises(NotFoundError):
            reading.email_detail(relay, whose, ours, NOW)
        with pytest.raises(NotFoundError):
            reading.raw(relay, whose, ours)


def test_raw_is_the_message_of_its_config(relay: Relay) -> None:
    first = add_config(email_address="first@sender.test")
    second = add_config(email_address="second@sender.test", weight=50)
    one = submit(relay, NOW, subject="Raw")
    assert b"second@sender.test" in reading.raw(relay, None, one), "the likeliest, while none has claimed it"
    change(one, carrier_id=first)
    data = reading.raw(relay, None, one)
    assert b"first@sender.test" in data
    assert b"Subject: Raw\r\n" in data
    assert data == reading.raw(relay, None, one)
    pinned = submit(relay, NOW, smtp_config_id=second)
    assert b"second@sender.test" in reading.raw(relay, None, pinned)


def test_raw_needs_a_config_to_tell_the_sender(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW)
    write(lambda: run("DELETE FROM routes"))
    with pytest.raises(ConflictError):
        reading.raw(relay, None, one)
