from __future__ import annotations

import email
import email.policy
from typing import Any

import pytest

from models import Letter, Message
from models.database import run, write
from services.composing.replies import MOST_CHARACTERS, MOST_REFERENCES
from tests.composing.making import account, draft
from tests.support.app import Caller

MAIL = {"to": ["bo@example.com"], "subject": "Re: Hello", "body": "Hello again"}


def received(account_id: str, message_id: str = "<one@bo.test>", **fields: Any) -> int:
    """The id of a message in the account's inbox, as sync stores it."""

    def job() -> int:
        letter = Letter.create(
            account_id=account_id, message_id=message_id, received_at=1, created_at=1, **fields
        )
        message = Message.create(
            account_id=account_id, folder_id=1, uidvalidity=1, uid=letter.id, letter_id=letter.id, received_at=1,
            created_at=1, updated_at=1,
        )  # fmt: skip
        return int(message.id)

    return write(job)


def reply(caller: Caller, account_id: str, in_reply_to: Any) -> Any:
    """The message that a reply becomes, parsed."""
    response = caller.post("/api/compose", MAIL | {"accountId": account_id, "inReplyTo": in_reply_to})
    assert response.status_code == 202, response.json
    raw = caller.get(f"/api/emails/{response.json['email_id']}/raw").get_data()
    return email.message_from_bytes(raw, policy=email.policy.default)


@pytest.mark.parametrize("form", [str, int])
def test_a_message_here_is_answered_by_its_id(ann: Caller, work: str, form: Any) -> None:
    sent = reply(ann, work, form(received(work, refs="<root@bo.test> <zero@bo.test>")))
    assert sent["In-Reply-To"] == "<one@bo.test>"
    assert sent["References"].split() == ["<root@bo.test>", "<zero@bo.test>", "<one@bo.test>"]
    assert sent["Subject"] == "Re: Hello"


@pytest.mark.parametrize("given", ["<one@bo.test>", "one@bo.test", " <one@bo.test> "])
def test_a_message_here_is_answered_by_its_message_id(ann: Caller, work: str, given: str) -> None:
    received(work, refs="<root@bo.test>")
    sent = reply(ann, work, given)
    assert (sent["In-Reply-To"], sent["References"]) == ("<one@bo.test>", "<root@bo.test> <one@bo.test>")


def test_a_message_that_is_not_here_is_answered_by_its_message_id(ann: Caller, work: str) -> None:
    sent = reply(ann, work, "<elsewhere@bo.test>")
    assert sent["In-Reply-To"] == sent["References"] == "<elsewhere@bo.test>"


def test_without_references_what_it_answered_itself_counts(ann: Caller, work: str) -> None:
    one = reply(ann, work, received(work, in_reply_to="<zero@bo.test>"))
    assert one["References"] == "<zero@bo.test> <one@bo.test>"
    two = reply(ann, work, received(work, in_reply_to="<zero@bo.test> <other@bo.test>"))
    assert two["References"] == "<one@bo.test>"


def test_a_message_without_an_id_cannot_be_threaded(ann: Caller, work: str) -> None:
    sent = reply(ann, work, received(work, message_id=""))
    assert (sent["In-Reply-To"], sent["References"]) == (None, None)


@pytest.mark.parametrize("hostile", [
    "<one@bo.test>\r\nBcc: <all@bo.test>", "<a\r\nb@bo.test>", "<=?utf-8?q?x?=@bo.test>", "<two words@bo.test>",
    "<" + "x" * 900 + "@bo.test>", "<sch\u00f6n@bo.test>", "<>", "\0",
])  # fmt: skip
def test_hostile_ids_do_not_get_far(ann: Caller, work: str, hostile: str) -> None:
    sent = reply(ann, work, received(work, message_id="<good@bo.test>", refs=f"<first@bo.test> {hostile}"))
    assert sent["Bcc"] is None
    assert sent["References"].split()[0] == "<first@bo.test>"
    assert sent["References"].split()[-1] == "<good@bo.test>"
    assert hostile not in str(sent["References"])
    assert reply(ann, work, received(work, message_id=hostile))["Bcc"] is None


def test_a_long_thread_keeps_its_ends(ann: Caller, work: str) -> None:
    ids = [f"<{number}@{'x' * 100}.bo.test>" for number in range(500)]
    sent = reply(ann, work, received(work, refs=" ".join(ids)))
    kept = sent["References"].split()
    assert (kept[0], kept[-2:]) == (ids[0], [ids[-1], "<one@bo.test>"])
    assert len(kept) == MOST_REFERENCES
    ids = [f"<{number}{'x' * 700}@bo.test>" for number in range(40)]
    kept = reply(ann, work, received(work, refs=" ".join(ids)))["References"].split()
    assert (kept[0], kept[-2:]) == (ids[0], [ids[-1], "<one@bo.test>"])
    assert sum(map(len, kept)) < MOST_CHARACTERS


def test_a_loop_does_not_grow(ann: Caller, work: str) -> None:
    sent = reply(ann, work, received(work, refs="<one@bo.test> <two@bo.test> <one@bo.test>"))
    assert sent["References"].split() == ["<two@bo.test>", "<one@bo.test>"]


def test_others_messages_do_not_exist(ann: Caller, bob: Caller, eve: Caller, work: str) -> None:
    for other in (bob, eve):
        theirs = account(other)
        hidden = received(theirs, message_id="<hidden@bo.test>", refs="<secret@bo.test>")
        response = ann.post("/api/compose", MAIL | {"accountId": work, "inReplyTo": str(hidden)})
        assert (response.status_code, response.json["code"]) == (404, "MESSAGE_NOT_FOUND")
        assert "inReplyTo" in response.json["message"]
        assert reply(ann, work, "<hidden@bo.test>")["References"] == "<hidden@bo.test>"


def test_a_message_of_the_users_other_account_can_be_answered(ann: Caller, work: str) -> None:
    home = account(ann, emailAddress="ann@home.test")
    assert reply(ann, work, received(home))["In-Reply-To"] == "<one@bo.test>"


def test_a_draft_is_a_reply_too(ann: Caller, work: str) -> None:
    message = received(work)
    saved = draft(ann, work, **MAIL, inReplyTo=message)
    assert saved["inReplyTo"] == str(message)
    body = {"accountId": work, "inReplyTo": "987654"}
    assert ann.post("/api/compose/drafts", body).status_code == 404
    assert ann.put(f"/api/compose/drafts/{saved['draftId']}", {"inReplyTo": "no id"}).status_code == 400
    email_id = ann.post(f"/api/compose/drafts/{saved['draftId']}/send").json["email_id"]
    assert b"In-Reply-To: <one@bo.test>" in ann.get(f"/api/emails/{email_id}/raw").get_data()


def test_a_draft_goes_even_when_what_it_answers_is_gone(ann: Caller, work: str) -> None:
    saved = draft(ann, work, **MAIL, inReplyTo=received(work))
    write(lambda: run("DELETE FROM messages"))
    response = ann.post(f"/api/compose/drafts/{saved['draftId']}/send")
    assert response.status_code == 202
    assert b"In-Reply-To" not in ann.get(f"/api/emails/{response.json['email_id']}/raw").get_data()
