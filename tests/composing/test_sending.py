from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from models import Account, Email, SmtpConfig
from models.database import row, run, write
from tests.composing.making import account, draft, file, upload
from tests.support.app import Caller, running_app, tenant_caller
from tests.support.dovecot import PASSWORD
from tests.support.relay import delivering, wait_for
from tests.support.sink import Sink
from utils.clock import DAY, now_ms

MAIL = {"to": ["bo@example.com"], "subject": "Hello", "body": "Hello Bo"}


def send(caller: Caller, account_id: str, path: str = "/api/compose/send", **changes: Any) -> Any:
    return caller.post(path, MAIL | {"accountId": account_id} | changes)


def fields(response: Any) -> set[str]:
    assert response.status_code == 400, response.json
    return {one["field"] for one in response.json["details"]}


def test_it_travels_through_the_accounts_own_server(app: APIFlask, ann: Caller) -> None:
    with Sink(auth=("ann@acme.test", PASSWORD)) as sink, delivering(app.extensions["mailferry"]):
        mine = account(ann, smtp_port=sink.port)
        body = send(
            ann, mine, to=["Bo <bo@example.com>"], bcc=["cy@example.com"], replyTo="desk@acme.test"
        ).json
        (message,) = sink.wait_for(1)
        assert message.mail_from == "ann@acme.test"
        assert message.rcpt_tos == ["bo@example.com", "cy@example.com"]
        assert b"Reply-To: desk@acme.test" in message.data
        assert message.message_id == body["messageId"]
        assert b"cy@example.com" not in message.data
        wait_for(lambda: ann.get(f"/api/emails/{body['email_id']}").json["status"] == "sent")


def test_it_waits_for_its_time(ann: Caller, work: str) -> None:
    later = now_ms() + DAY
    response = send(ann, work, sendAt=later)
    assert (response.status_code, response.json["status"]) == (202, "scheduled")
    stored = Email.get_by_id(response.json["email_id"])
    assert (stored.state, stored.available_at) == ("scheduled", later)


def test_html_comes_as_body_too(ann: Caller, work: str) -> None:
    email_id = send(ann, work, body="<p>Hello <b>Bo</b></p>", isHtml=True).json["email_id"]
    assert row("SELECT html, text FROM contents WHERE email_id = ?", email_id) == (
        "<p>Hello <b>Bo</b></p>",
        None,
    )


def test_inline_images_keep_their_id(ann: Caller, work: str) -> None:
    image = file("logo.png", b"png", contentType="image/png", contentId="logo@acme")
    email_id = send(ann, work, body='<img src="cid:logo@acme">', isHtml=True, attachments=[image]).json[
        "email_id"
    ]
    (shown,) = ann.get(f"/api/emails/{email_id}").json["attachments"]
    assert shown == {
        "filename": "logo.png",
        "content_type": "image/png",
        "content_id": "logo@acme",
        "size": 3,
    }


@pytest.mark.parametrize(("changes", "field"), [
    ({"to": []}, "to"),
    ({"to": None}, "to"),
    ({"to": "bo@example.com"}, "to"),
    ({"to": ["bo@example.com", "nobody"]}, "to.1"),
    ({"cc": ["nobody"]}, "cc.0"),
    ({"bcc": ["ok@example.com", "a@b@c"]}, "bcc.1"),
    ({"replyTo": "nobody"}, "replyTo"),
    ({"subject": ""}, "subject"),
    ({"subject": None}, "subject"),
    ({"subject": "x" * 501}, "subject"),
    ({"subject": "a\nBcc: all@example.com"}, "subject"),
    ({"body": ""}, "body"),
    ({"body": None}, "body"),
    ({"body": "broken \ud800"}, "body"),
    ({"body": "x", "textBody": "y"}, "body"),
    ({"body": None, "isHtml": True}, "body"),
    ({"body": None, "textBody": "", "htmlBody": ""}, "body"),
    ({"isHtml": "yes"}, "isHtml"),
    ({"sendAt": "tomorrow"}, "sendAt"),
    ({"sendAt": -1}, "sendAt"),
    ({"sendAt": 1e13}, "sendAt"),
    ({"sendAt": 9_000_000_000_000}, "sendAt"),
    ({"inReplyTo": "not an id"}, "inReplyTo"),
    ({"inReplyTo": "<two words@example.com>"}, "inReplyTo"),
    ({"inReplyTo": "<a@b>\r\nBcc: <c@d>"}, "inReplyTo"),
    ({"inReplyTo": True}, "inReplyTo"),
    ({"attachmentIds": [1]}, "attachmentIds.0"),
    ({"attachments": [{"filename": "x", "data": "~"}]}, "attachments.0.data"),
    ({"attachments": [file(), file("a\nb")]}, "attachments.1.filename"),
    ({"attachments": [file(contentType="nonsense")]}, "attachments.0.contentType"),
    ({"attachments": [file(contentId="<x>")]}, "attachments.0.contentId"),
    ({"attachments": [{"filename": "x", "content": "eA=="}]}, "attachments.0.content"),
    ({"accountId": 5}, "accountId"),
    ({"from": "someone@else.test"}, "from"),
])  # fmt: skip
def test_wrong_fields_are_named(ann: Caller, work: str, changes: dict[str, Any], field: str) -> None:
    assert field in fields(send(ann, work, **changes))


def test_a_wrong_text_is_named_as_it_came(ann: Caller, work: str) -> None:
    assert fields(send(ann, work, body=None, textBody="\ud800")) == {"textBody"}
    assert fields(send(ann, work, body=None, htmlBody="\ud800")) == {"htmlBody"}


def test_a_missing_account_is_named(ann: Caller) -> None:
    assert "accountId" in fields(ann.post("/api/compose", MAIL))


def test_what_is_uploaded_and_what_comes_along_go_together(ann: Caller, work: str) -> None:
    one = upload(ann, "one.txt")
    answer = send(ann, work, attachmentIds=[one], attachments=[file("two.txt", b"22")])
    shown = ann.get(f"/api/emails/{answer.json['email_id']}").json["attachments"]
    assert [(part["filename"], part["size"]) for part in shown] == [("one.txt", 7), ("two.txt", 2)]


def test_an_unknown_attachment_is_named(ann: Caller, bob: Caller, eve: Caller, work: str) -> None:
    mine = upload(ann)
    for other in ("att_001", upload(bob), upload(eve)):
        response = send(ann, work, attachmentIds=[mine, other])
        assert (response.status_code, response.json["code"]) == (404, "ATTACHMENT_NOT_FOUND")
        assert "attachmentIds.1" in response.json["message"]


def test_it_does_not_grow_over_the_largest_message(tmp_path: Path) -> None:
    with running_app(tmp_path, MAX_MESSAGE_MB="1", ALLOW_PRIVATE_HOSTS="on") as app:
        ann = tenant_caller(app, "acme", user="ann")
        ann.headers |= {"X-Tenant-ID": "acme", "X-User-ID": "ann"}
        work = account(ann)
        half = upload(ann, "half", b"x" * 600_000)
        assert send(ann, work, attachmentIds=[half]).status_code == 202
        response = send(ann, work, attachmentIds=[half, half])
        assert (response.status_code, response.json["code"]) == (413, "TOO_LARGE")


def test_suppressed_recipients_are_named_and_get_no_mail(ann: Caller, work: str) -> None:
    assert ann.post("/api/suppressions", {"address": "cy@example.com"}).status_code in (200, 201)
    response = send(ann, work, cc=["cy@example.com"])
    assert response.status_code == 202, response.json
    (told,) = response.json["suppressed"]
    assert (told["address"], told["reason"]) == ("cy@example.com", "manual")
    assert told["since"] > 1_700_000_000_000
    assert "cc" in fields_of(ann.get(f"/api/emails/{response.json['email_id']}").json)
    saved = draft(ann, work, **MAIL | {"to": ["cy@example.com"]})
    for refused in (
        send(ann, work, to=["cy@example.com"]),
        ann.post(f"/api/compose/drafts/{saved['draftId']}/send"),
    ):
        assert fields(refused) == {"to"}
        assert refused.json["code"] == "RECIPIENT_SUPPRESSED"
    assert ann.get(f"/api/compose/drafts/{saved['draftId']}").status_code == 200


def fields_of(email: dict[str, Any]) -> set[str]:
    """The kinds of those recipients that are suppressed."""
    return {one["kind"] for one in email["recipient_states"] if one["state"] == "suppressed"}


# Accounts that cannot send.


def test_an_account_without_smtp_settings_says_what_to_do(ann: Caller) -> None:
    mute = account(ann, smtp_port=None)
    response = send(ann, mute)
    assert (response.status_code, response.json["code"]) == (409, "NO_SMTP_CONFIG")
    assert f"PUT /api/accounts/{mute}" in response.json["message"]
    saved = draft(ann, mute, **MAIL)
    assert ann.post(f"/api/compose/drafts/{saved['draftId']}/send").json["code"] == "NO_SMTP_CONFIG"
    assert ann.get(f"/api/compose/drafts/{saved['draftId']}").status_code == 200


def test_an_account_whose_config_is_gone_says_the_same(ann: Caller, work: str) -> None:
    config_id = Account.get_by_id(work).smtp_config_id
    write(lambda: SmtpConfig.delete().where(SmtpConfig.id == config_id).execute())
    assert send(ann, work).json["code"] == "NO_SMTP_CONFIG"


def test_a_config_that_is_no_longer_the_accounts_is_not_used(ann: Caller, work: str) -> None:
    config_id = Account.get_by_id(work).smtp_config_id
    write(lambda: run("UPDATE smtp_configs SET tenant = 'other' WHERE id = ?", config_id))
    assert send(ann, work).json["code"] == "NO_SMTP_CONFIG"


def test_an_account_that_is_switched_off_sends_nothing(ann: Caller) -> None:
    response = send(ann, account(ann, isEnabled=False))
    assert (response.status_code, response.json["code"]) == (409, "ACCOUNT_DISABLED")


def test_others_accounts_do_not_exist(ann: Caller, bob: Caller, eve: Caller, work: str) -> None:
    for other in (bob, eve):
        response = send(other, work)
        assert (response.status_code, response.json["code"]) == (404, "ACCOUNT_NOT_FOUND")
        assert "accountId" in response.json["message"]
    write(lambda: run("UPDATE accounts SET deleted_at = 1 WHERE id = ?", work))
    assert send(ann, work).status_code == 404


def test_who_speaks_for_no_user_is_refused(app: APIFlask, work: str) -> None:
    nobody = tenant_caller(app, "acme")
    assert send(nobody, work).status_code == 401
    assert nobody.get("/api/compose/drafts").status_code == 401


# Sent once.


def test_the_same_key_sends_once(ann: Caller, work: str) -> None:
    key = {"Idempotency-Key": "one"}
    first = ann.post("/api/compose", MAIL | {"accountId": work}, headers=key)
    again = ann.post("/api/compose/send", MAIL | {"accountId": work}, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Email.select().count() == 1
    other = ann.post("/api/compose", MAIL | {"accountId": work, "subject": "Other"}, headers=key)
    assert other.status_code == 422


def test_a_key_is_its_users_own(ann: Caller, bob: Caller, work: str) -> None:
    key, mail = {"Idempotency-Key": "one"}, MAIL | {"accountId": work}
    saved = draft(ann, work, **MAIL)["draftId"]
    for path, body in (("/api/compose", mail), (f"/api/compose/drafts/{saved}/send", {})):
        assert ann.post(path, body, headers=key).status_code == 202
        assert bob.post(path, body, headers=key).status_code == 404
    own = MAIL | {"accountId": account(bob, emailAddress="bob@acme.test")}
    assert bob.post("/api/compose", own, headers=key).status_code == 202


def test_a_replay_needs_nothing_that_has_gone_since(ann: Caller, work: str) -> None:
    key, mine = {"Idempotency-Key": "one"}, upload(ann)
    mail = MAIL | {"accountId": work, "attachmentIds": [mine]}
    first = ann.post("/api/compose", mail, headers=key)
    write(lambda: run("DELETE FROM uploads"))
    write(lambda: run("UPDATE accounts SET deleted_at = 1"))
    assert ann.post("/api/compose", mail, headers=key).json == first.json


def test_calls_are_limited(tmp_path: Path) -> None:
    with running_app(tmp_path) as app:
        ann = tenant_caller(app, "acme", user="ann")
        statuses = [ann.post("/api/compose", MAIL | {"accountId": "none"}).status_code for _ in range(11)]
        assert statuses == [404] * 10 + [429]


@pytest.fixture(autouse=True)
def _nothing_stored_by_a_refusal(app: APIFlask) -> Iterator[None]:
    yield
    orphans = row("SELECT count(*) FROM sent_copies WHERE email_id NOT IN (SELECT id FROM emails)")
    assert orphans == (0,)
