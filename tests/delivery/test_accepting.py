"""What is accepted, and as what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.database import row
from services import accept, reading
from services.accept import IdempotencyKey
from services.errors import IdempotencyMismatchError, InvalidInputError, StorageFullError, TooLargeError
from services.message_size import message_size
from services.relay import Relay
from services.submission import NewEmail
from tests.support.database import sqlite_only
from tests.support.relay import SERVICE, add_config, email, submit
from utils.addresses import Address
from utils.clock import MINUTE, now_ms
from utils.mime import Attachment, Mail, build

BROKEN = "a\udc80b"
KEY = IdempotencyKey("order-42", "emails", b"x" * 32)
BATCH_KEY = IdempotencyKey("order-42", "emails/batch", b"x" * 32)


def new(**fields: Any) -> NewEmail:
    return NewEmail(**{"subject": "Hello", "to": ["ann@example.com"], "text": "Hello Ann"} | fields)


def refused(relay: Relay, **fields: Any) -> tuple[str | None, str]:
    with pytest.raises(InvalidInputError) as caught:
        accept.submit(relay, SERVICE, new(**fields), now_ms())
    return caught.value.field, caught.value.code


def test_a_replay_brings_the_first_answer_even_after_the_expiry(relay: Relay) -> None:
    add_config()
    now = now_ms()
    one = new(expires_at=now + MINUTE)
    first = accept.submit(relay, SERVICE, one, now, KEY)
    again = accept.submit(relay, SERVICE, one, now + 2 * MINUTE, KEY)
    assert (again.status, again.body, again.replayed) == (201, first.body, True)
    assert row("SELECT count(*) FROM emails") == (1,)


def test_a_replayed_batch_brings_the_first_answer_even_after_the_expiry(relay: Relay) -> None:
    add_config()
    now = now_ms()
    batch = [new(expires_at=now + MINUTE), new()]
    first = accept.submit_batch(relay, SERVICE, batch, "strict", now, KEY)
    again = accept.submit_batch(relay, SERVICE, batch, "strict", now + 2 * MINUTE, KEY)
    assert (again.status, again.body, again.replayed) == (200, first.body, True)
    assert row("SELECT count(*) FROM emails") == (2,)


@sqlite_only
def test_a_replay_needs_no_room_on_the_disk_and_a_new_email_does(relay: Relay) -> None:
    add_config()
    accept.submit(relay, SERVICE, new(), now_ms(), KEY)
    accept.submit_batch(relay, SERVICE, [new()], "strict", now_ms(), BATCH_KEY)
    relay.policy = replace(relay.policy, min_free_bytes=2**60)
    assert accept.submit(relay, SERVICE, new(), now_ms(), KEY).replayed
    assert accept.submit_batch(relay, SERVICE, [new()], "strict", now_ms(), BATCH_KEY).replayed
    with pytest.raises(IdempotencyMismatchError):
        accept.submit(relay, SERVICE, new(), now_ms(), replace(KEY, fingerprint=b"y" * 32))
    for act in (
        lambda: accept.submit(relay, SERVICE, new(), now_ms()),
        lambda: accept.submit_batch(relay, SERVICE, [new()], "permissive", now_ms()),
    ):
        with pytest.raises(StorageFullError):
            act()


@sqlite_only
def test_the_disk_that_must_have_room_is_that_of_the_database(relay: Relay) -> None:
    add_config()
    relay.policy = replace(relay.policy, data_dir=Path("/nowhere"), min_free_bytes=1)
    assert submit(relay)


@pytest.mark.parametrize(
    ("sender", "sender_name", "name"),
    [
        ("Bob B <bob@corp.test>", None, "Bob B"),
        ("Bob B <bob@corp.test>", "Sales", "Sales"),
        ("bob@corp.test", "Sales", "Sales"),
        ("bob@corp.test", None, ""),
        (None, "Sales", "Sales"),
    ],
)
def test_the_senders_name_is_taken_from_either_place(
    relay: Relay, sender: str | None, sender_name: str | None, name: str
) -> None:
    add_config(allow_any_sender=True)
    one = submit(relay, sender=sender, sender_name=sender_name)
    assert (email(one)["sender"], email(one)["sender_name"]) == ("bob@corp.test" if sender else "", name)
    head = reading.raw(relay, None, one).split(b"\r\n\r\n")[0]
    assert f"From: {name}".encode() in head


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("subject", {"subject": BROKEN}),
        ("text_content", {"text": BROKEN}),
        ("html_content", {"html": BROKEN}),
        ("recipients.0", {"to": [f"{BROKEN} <ann@example.com>"]}),
        ("cc.0", {"cc": [f"{BROKEN}@example.com"]}),
        ("reply_to.0", {"reply_to": [f"ann@{BROKEN}.test"]}),
        ("sender", {"sender": f"{BROKEN} <bob@corp.test>"}),
        ("sender_name", {"sender_name": BROKEN}),
        ("headers.X-Note", {"headers": [("X-Note", BROKEN)]}),
        (r"headers.X-\udc80", {"headers": [("X-\udc80", "x")]}),
        ("tags.1", {"tags": ["a", BROKEN]}),
        ("metadata", {"metadata": {"a": [BROKEN]}}),
        ("metadata", {"metadata": {BROKEN: 1}}),
        ("attachments.0.filename", {"attachments": [Attachment(BROKEN, "text/plain", b"x")]}),
        ("attachments.0.content_type", {"attachments": [Attachment("a", BROKEN, b"x")]}),
        ("attachments.0.content_id", {"attachments": [Attachment("a", "text/plain", b"x", BROKEN)]}),
    ],
)
def test_a_broken_character_is_refused_where_it_stands(
    relay: Relay, field: str, fields: dict[str, Any]
) -> None:
    add_config(allow_any_sender=True)
    named, code = refused(relay, **fields)
    assert named == field
    assert code in ("INVALID_CHARACTER", "INVALID_HEADER", "INVALID_EMAIL_FORMAT")


def test_a_broken_character_spoils_one_email_of_a_batch(relay: Relay) -> None:
    add_config()
    answer = accept.submit_batch(relay, SERVICE, [new(text=BROKEN), new()], "permissive", now_ms())
    assert (answer.body["accepted"], answer.body["rejected"]) == (1, 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "ж" * 18_000},
        {"text": "a" * 10_000 + "é" * 15_000},
        {"headers": [(f"X-{n}", "x" * 2_000) for n in range(30)]},
        {"attachments": [Attachment("a", "text/plain", b"x" * 40_000)]},
    ],
)
def test_what_grows_beyond_the_limit_on_the_wire_is_refused(relay: Relay, fields: dict[str, Any]) -> None:
    add_config()
    assert len(reading.raw(relay, None, submit(relay, **fields))) > 45_000
    relay.policy = replace(relay.policy, max_message_bytes=45_000)
    with pytest.raises(TooLargeError):
        submit(relay, **fields)
    assert submit(relay, text="a" * 40_000), "plain text does not grow"


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=400)
LINES = st.lists(st.sampled_from(["a ", "\t", "=" * 30, "é", "😀 ", "x" * 75, ""]), max_size=60).map(
    "\n".join
)
VALUE = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=300)
NAMES = st.lists(VALUE.map(lambda name: Address(name[:255], "ann@example.com")), min_size=1, max_size=5)


@settings(max_examples=300, deadline=None)
@given(
    text=TEXT | LINES, html=st.none() | TEXT | LINES, subject=VALUE, headers=st.lists(VALUE, max_size=4), people=NAMES,
    files=st.lists(st.tuples(VALUE.map(lambda name: name[:255]), st.binary(max_size=300)), max_size=3),
)  # fmt: skip
def test_no_email_is_larger_than_it_was_taken_for(
    text: str, html: str | None, subject: str, headers: list[str], people: list[Address],
    files: list[tuple[str, bytes]],
) -> None:  # fmt: skip
    fields = [(f"X-{n}", value) for n, value in enumerate(headers)]
    mail = Mail(
        sender=people[0], to=people, cc=[], reply_to=[], subject=subject, message_id="<1@relay.test>", date=0, seed="1",
        text=text, html=html, headers=fields,
        attachments=[Attachment(name, "text/plain", content, f"c{n}") for n, (name, content) in enumerate(files)],
    )  # fmt: skip
    size = message_size(
        [text, html or ""], [("Subject", subject), *fields], [people[0], *people],
        [(name, len(content)) for name, content in files],
    )  # fmt: skip
    assert len(build(mail)) <= size


@pytest.mark.parametrize(
    "line", [" \r\n", " \n", "\t\r", "\r\n", "\n", "x=\r\n", "é\r\n", "éa \n", "\x01", "\x7f\n"]
)
def test_many_lines_are_not_larger_than_they_were_taken_for(line: str) -> None:
    text = line * 20_000 + "é"
    everyone = [Address("", "ann@example.com")]
    mail = Mail(
        sender=everyone[0], to=everyone, cc=[], reply_to=[], subject="s", message_id="<1@relay.test>", date=0, seed="1",
        text=text, html=None, headers=[], attachments=[],
    )  # fmt: skip
    assert len(build(mail)) <= message_size([text], [("Subject", "s")], everyone, [])


@pytest.mark.parametrize("content_id", ["a b", "<a@b>", "ü@b", "x" * 256])
def test_a_content_id_that_could_not_be_sent_is_refused(relay: Relay, content_id: str) -> None:
    add_config()
    inline = Attachment("logo.png", "image/png", b"png", content_id)
    assert refused(relay, attachments=[inline]) == ("attachments.0.content_id", "INVALID_HEADER")
