from __future__ import annotations

import pytest

from models import Attachment, Blob, Content, Event, Recipient
from models.database import database, rows, write
from services import actions, reading
from services.errors import ConflictError, NotFoundError
from services.relay import Relay
from tests.queue.making import NOW, attempt, change, change_recipient, claimed, ended
from tests.support.relay import add_config, email, events, state, submit
from utils.mime import Attachment as File

SECRET = "the merger is on"


def told_everywhere(relay: Relay, config: int) -> int:
    """A failed email whose words stand in every place that may quote them."""
    pdf = File(f"{SECRET}.pdf", "application/pdf", SECRET.encode() * 2)
    one = ended(
        relay, "failed", subject=SECRET, text=SECRET, html=SECRET, headers=[("X-Note", SECRET)], attachments=[pdf],
        to=[f"{SECRET} <ann@example.com>"], metadata={"note": SECRET}, reply_to=[f"{SECRET} <bob@example.com>"],
    )  # fmt: skip
    change(one, error_message=f"550 spam: {SECRET}")
    change_recipient(one, 0, reply=f"550 spam: {SECRET}")
    attempt(one, config, outcome="failed", reply=SECRET, replies=[["ann@example.com", "failed", SECRET]])
    write(lambda: Event.create(email_id=one, at=NOW, type="unknown", detail=SECRET))
    return one


def everything_stored() -> str:
    return str([rows(f"SELECT * FROM {name}") for name in database.get_tables()])


def test_nothing_that_it_said_is_left(relay: Relay) -> None:
    one = told_everywhere(relay, add_config())
    assert everything_stored().count(SECRET) > 10
    actions.erase(None, one, NOW)
    assert SECRET not in everything_stored()


def test_the_row_its_addresses_and_its_timeline_stay(relay: Relay) -> None:
    one = told_everywhere(relay, add_config())
    actions.erase(None, one, NOW)
    assert (state(one), email(one)["has_content"], email(one)["subject"]) == ("failed", False, "")
    assert Recipient.get(Recipient.email_id == one).address == "ann@example.com"
    assert events(one) == ["unknown", "erased"]
    detail = reading.email_detail(relay, None, one, NOW)
    assert len(detail["attempts"]) == 1
    with pytest.raises(NotFoundError, match="erased"):
        reading.raw(relay, None, one)


def test_waiting_mail_is_cancelled_by_it(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW)
    actions.erase(None, one, NOW)
    assert state(one) == "cancelled"
    assert events(one) == ["cancelled", "erased"]


@pytest.mark.parametrize("dot_at", [None, NOW])
def test_mail_that_is_being_sent_is_not_erased(relay: Relay, dot_at: int | None) -> None:
    one = claimed(relay, add_config(), dot_at=dot_at)
    with pytest.raises(ConflictError):
        actions.erase(None, one, NOW)
    assert Content.get_or_none(Content.email_id == one) is not None


def test_bytes_that_another_email_has_too_stay(relay: Relay) -> None:
    add_config()
    shared, own = File("a.bin", "a/b", b"shared"), File("b.bin", "a/b", b"own")
    one = submit(relay, NOW, attachments=[shared, own])
    other = submit(relay, NOW, attachments=[shared])
    assert Blob.select().count() == 2
    actions.erase(None, one, NOW)
    assert [bytes(blob.data) for blob in Blob.select()] == [b"shared"]
    assert [found.email_id for found in Attachment.select()] == [other]
    assert b"c2hhcmVk" in reading.raw(relay, None, other)


def test_to_erase_again_is_allowed(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW)
    actions.erase(None, one, NOW)
    actions.erase(None, one, NOW)
    assert state(one) == "cancelled"
