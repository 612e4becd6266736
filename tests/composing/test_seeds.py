"""The requests of the documents about accounts, as written there but for a key and the ids of what is there."""

from __future__ import annotations

import base64
import email
import email.policy
from typing import Any

import pytest

from tests.composing.making import upload
from tests.support.app import Caller

SEND = {
    "to": ["recipient@example.com"],
    "cc": ["cc@example.com"],
    "bcc": ["bcc@example.com"],
    "subject": "Meeting Tomorrow",
    "body": "Hi,\n\nLet's discuss the project at 2pm tomorrow.\n\nBest regards",
    "isHtml": False,
}
COMPOSE = {
    "to": ["recipient@example.com"],
    "cc": ["cc@example.com"],
    "bcc": ["bcc@example.com"],
    "subject": "Email Subject",
    "textBody": "Plain text body",
    "htmlBody": "<html>HTML body</html>",
    "attachments": [
        {
            "filename": "file.pdf",
            "contentType": "application/pdf",
            "data": base64.b64encode(b"%PDF-1.7 a file").decode(),
        }
    ],
    "sendAt": 1706033200000,
}
DRAFT = {
    "to": ["recipient@example.com"],
    "subject": "Draft Subject",
    "textBody": "Draft body",
    "attachments": [],
}
UPDATE = {"subject": "Updated Subject", "textBody": "Updated body"}


def message(caller: Caller, email_id: int) -> Any:
    raw = caller.get(f"/api/emails/{email_id}/raw").get_data()
    return email.message_from_bytes(raw, policy=email.policy.default)


@pytest.mark.parametrize("path", ["/api/compose/send", "/api/compose"])
def test_it_sends_mail_with_uploaded_attachments(ann: Caller, work: str, path: str) -> None:
    ids = [upload(ann, "first.txt"), upload(ann, "second.txt")]
    response = ann.post(path, SEND | {"accountId": work, "attachmentIds": ids})
    assert response.status_code == 202, response.json
    body = response.json
    assert set(body) == {"taskId", "status", "messageId", "email_id"}
    assert body["status"] == "pending"
    assert response.headers["Location"] == f"/api/emails/{body['email_id']}"
    sent = message(ann, body["email_id"])
    assert sent["From"] == "Ann <ann@acme.test>"
    assert (sent["To"], sent["Cc"], sent["Bcc"]) == ("recipient@example.com", "cc@example.com", None)
    assert sent["Subject"] == SEND["subject"]
    assert sent["Message-ID"] == body["messageId"]
    assert sent.get_body(("plain",)).get_content().replace("\r\n", "\n").rstrip("\n") == SEND["body"]
    assert [one.get_filename() for one in sent.iter_attachments()] == ["first.txt", "second.txt"]
    assert [one.get_content() for one in sent.iter_attachments()] == ["first.txt", "second.txt"]


@pytest.mark.parametrize("path", ["/api/compose/send", "/api/compose"])
def test_it_sends_mail_with_attachments_in_the_request(ann: Caller, work: str, path: str) -> None:
    response = ann.post(path, COMPOSE | {"accountId": work})
    assert response.status_code == 202, response.json
    sent = message(ann, response.json["email_id"])
    assert sent.get_body(("plain",)).get_content().strip() == "Plain text body"
    assert sent.get_body(("html",)).get_content().strip() == "<html>HTML body</html>"
    (pdf,) = sent.iter_attachments()
    assert (pdf.get_filename(), pdf.get_content_type()) == ("file.pdf", "application/pdf")
    assert pdf.get_content() == b"%PDF-1.7 a file"
    detail = ann.get(f"/api/emails/{response.json['email_id']}").json
    assert (detail["status"], detail["bcc"]) == ("queued", ["bcc@example.com"])


@pytest.mark.parametrize("path", ["/api/compose/drafts", "/api/compose/draft"])
def test_it_saves_a_draft(ann: Caller, work: str, path: str) -> None:
    response = ann.post(path, DRAFT | {"accountId": work})
    assert response.status_code == 201, response.json
    draft = response.json
    assert draft.items() >= (DRAFT | {"accountId": work}).items()
    assert draft["createdAt"] > 1_700_000_000_000
    assert response.headers["Location"] == f"/api/compose/drafts/{draft['draftId']}"
    assert ann.get(response.headers["Location"]).json == draft


def test_it_saves_a_draft_in_the_other_shape(ann: Caller, work: str) -> None:
    ids = [upload(ann, "first.txt"), upload(ann, "second.txt")]
    response = ann.post("/api/compose/draft", SEND | {"accountId": work, "attachmentIds": ids})
    assert response.status_code == 201, response.json
    draft = response.json
    assert draft.items() >= SEND.items()
    assert [one["id"] for one in draft["attachments"]] == ids


def test_it_lists_drafts(ann: Caller, work: str) -> None:
    draft = ann.post("/api/compose/drafts", DRAFT | {"accountId": work}).json
    listed = ann.get(f"/api/compose/drafts?tenant_id=acme&user_id=ann&accountId={work}")
    assert listed.status_code == 200
    assert [one["draftId"] for one in listed.json["drafts"]] == [draft["draftId"]]
    assert listed.json["pagination"] == {"total": 1, "limit": 100, "offset": 0}


def test_it_updates_a_draft(ann: Caller, work: str) -> None:
    draft = ann.post("/api/compose/drafts", DRAFT | {"accountId": work}).json
    response = ann.put(f"/api/compose/drafts/{draft['draftId']}", UPDATE)
    assert response.status_code == 200, response.json
    changed = {**UPDATE, "body": "Updated body", "updatedAt": response.json["updatedAt"]}
    assert response.json == draft | changed
    assert response.json["updatedAt"] > draft["updatedAt"]
