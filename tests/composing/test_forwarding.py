"""What came with a message goes on to others, fetched from a real server."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import pytest
from apiflask import APIFlask

from models import Part
from tests.composing.making import account, draft, upload
from tests.support.app import Caller
from tests.support.dovecot import FULL, Dovecot, shared
from tests.sync.test_http import ended, polling, start

MAIL = {"to": ["bo@example.com"], "subject": "Fwd: Hello", "body": "see below"}
PICTURE = bytes(range(256)) * 40


def letter() -> bytes:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"], made["Message-ID"] = (
        "bob@example.com",
        "a@b.test",
        "Hello",
        "<1@x>",
    )
    made.set_content("two files")
    made.add_attachment(PICTURE, "image", "png", filename="Übersicht.png")
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("an inner letter")
    made.add_attachment(inner)
    return made.as_bytes(policy=email.policy.SMTP)


@pytest.fixture
def home(app: APIFlask, ann: Caller) -> tuple[str, str]:
    """The ids of an account, and of a message in it."""
    dovecot: Dovecot = shared(FULL)
    user = dovecot.user()
    dovecot.deliver(user, letter())
    mine = account(ann, port=dovecot.imap, username=user, emailAddress=user)
    with polling(app):
        assert ended(ann, start(ann, mine))["status"] == "success"
    inbox = next(
        one["id"] for one in ann.get(f"/api/{mine}/folders").json["folders"] if one["type"] == "inbox"
    )
    (message,) = ann.get(f"/api/{mine}/folders/{inbox}/messages").json["messages"]
    return mine, message["id"]


def attachments(caller: Caller, home: tuple[str, str]) -> list[str]:
    return [one["id"] for one in caller.get(f"/api/{home[0]}/messages/{home[1]}").json["attachments"]]


def sent(caller: Caller, response: Any) -> list[tuple[str, str, bytes]]:
    """Name, type and bytes of each attachment of what a request became."""
    assert response.status_code == 202, response.json
    raw = caller.get(f"/api/emails/{response.json['email_id']}/raw").get_data()
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    return [
        (str(one.get_filename()), one.get_content_type(), one.get_payload(decode=True))
        for one in parsed.iter_attachments()
    ]


def test_an_attachment_goes_on_by_its_id_beside_an_upload(ann: Caller, home: tuple[str, str]) -> None:
    picture = attachments(ann, home)[0]
    ids = [upload(ann, "first.txt"), picture, upload(ann, "last.txt")]
    found = sent(ann, ann.post("/api/compose", MAIL | {"accountId": home[0], "attachmentIds": ids}))
    assert [name for name, *_ in found] == ["first.txt", "Übersicht.png", "last.txt"]
    assert found[1][1:] == ("image/png", PICTURE)


def test_a_message_is_forwarded_with_all_that_it_came_with(ann: Caller, home: tuple[str, str]) -> None:
    body = MAIL | {"accountId": home[0], "attachmentIds": [upload(ann, "mine.txt")], "forwardOf": home[1]}
    found = sent(ann, ann.post("/api/compose", body))
    assert [name for name, *_ in found][:2] == ["mine.txt", "Übersicht.png"]
    assert found[1][2] == PICTURE
    assert found[2][1] == "application/octet-stream" and b"an inner letter" in found[2][2]


def test_a_draft_keeps_what_it_forwards(ann: Caller, home: tuple[str, str]) -> None:
    saved = draft(ann, home[0], **MAIL, forwardOf=home[1])
    assert saved["attachments"][0]["filename"] == "Übersicht.png"
    Part.update(section="99").execute()  # no longer to be had
    found = sent(ann, ann.post(f"/api/compose/drafts/{saved['draftId']}/send"))
    assert (len(found), found[0][2]) == (2, PICTURE)


def test_others_attachments_and_messages_do_not_exist(
    ann: Caller, bob: Caller, eve: Caller, home: tuple[str, str]
) -> None:
    (picture, _) = attachments(ann, home)
    for other in (bob, eve):
        theirs = account(other)
        for path, body in (("/api/compose", MAIL), ("/api/compose/drafts", {})):
            wrong = other.post(path, body | {"accountId": theirs, "attachmentIds": ["x", picture]})
            assert (wrong.status_code, wrong.json["code"]) == (404, "ATTACHMENT_NOT_FOUND")
            wrong = other.post(path, body | {"accountId": theirs, "forwardOf": home[1]})
            assert (wrong.status_code, wrong.json["code"]) == (404, "MESSAGE_NOT_FOUND")


@pytest.mark.parametrize("given", ["0", "9" * 18, "9" * 19, "x", -1])
def test_what_is_no_message_cannot_be_forwarded(ann: Caller, work: str, given: Any) -> None:
    assert ann.post("/api/compose", MAIL | {"accountId": work, "forwardOf": given}).status_code in (400, 404)


def test_what_its_server_does_not_give_is_a_502_and_nothing_is_sent(
    ann: Caller, home: tuple[str, str]
) -> None:
    ann.put(f"/api/accounts/{home[0]}", {"password": "wrong"})
    response = ann.post("/api/compose", MAIL | {"accountId": home[0], "forwardOf": home[1]})
    assert response.status_code == 502
    assert ann.get("/api/emails").json["emails"] == []
    Part.update(size=10**9).execute()
    assert ann.post("/api/compose", MAIL | {"accountId": home[0], "forwardOf": home[1]}).status_code == 413
