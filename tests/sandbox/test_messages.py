from __future__ import annotations

from email.message import EmailMessage

import pytest

from services import sandbox
from services.errors import NotFoundError

pytestmark = pytest.mark.usefixtures("policy")
NOW = 1_769_164_245_123


def keep(data: bytes) -> int:
    return sandbox.store("a@example.com", ["b@example.com"], data, NOW)


def test_the_latest_come_first_page_by_page() -> None:
    ids = [keep(b"Subject: %d\r\n\r\n" % number) for number in range(5)]
    first = sandbox.messages(2)
    assert [one["id"] for one in first] == [ids[4], ids[3]]
    assert [one["subject"] for one in sandbox.messages(2, before=first[-1]["id"])] == ["2", "1"]
    assert first[0]["received_at"] == "2026-01-23T10:30:45.123Z"


def test_a_message_shows_its_parts() -> None:
    mail = EmailMessage()
    mail["Subject"] = "Grüße"
    mail["From"] = "Ann <ann@example.com>"
    mail["To"] = "bob@example.com"
    mail["Message-ID"] = "<1@relay.test>"
    mail.set_content("plain\n")
    mail.add_alternative("<p>rich <img src='cid:logo'></p>", subtype="html")
    mail.get_payload()[1].add_related(b"PNG", "image", "png", cid="<logo>")  # type: ignore[index,union-attr]
    mail.add_attachment(b"1,2,3", maintype="text", subtype="csv", filename="zahlen für uns.csv")
    mail.add_attachment("not the body", filename="note.txt")
    shown = sandbox.message(keep(mail.as_bytes()))
    assert (shown["subject"], shown["from"], shown["to"]) == (
        "Grüße",
        "Ann <ann@example.com>",
        "bob@example.com",
    )
    assert shown["message_id"] == "<1@relay.test>"
    assert shown["text"] == "plain\n" and "rich" in shown["html"]
    assert [(one["filename"], one["content_type"], one["content_id"]) for one in shown["attachments"]] == [
        ("", "image/png", "logo"),
        ("zahlen für uns.csv", "text/csv", None),
        ("note.txt", "text/plain", None),
    ]
    assert shown["attachments"][1]["size"] == 5
    assert ["To", "bob@example.com"] in shown["headers"]


def test_a_missing_message_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        sandbox.message(1)
    with pytest.raises(NotFoundError):
        sandbox.raw(1)


def test_clearing_says_how_many_there_were() -> None:
    for _ in range(3):
        keep(b"x")
    assert (sandbox.clear(), sandbox.messages(10)) == (3, [])


def test_ids_are_not_used_again_after_clearing() -> None:
    before = keep(b"x")
    sandbox.clear()
    assert keep(b"x") > before
