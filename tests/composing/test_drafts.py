from __future__ import annotations

import threading
from typing import Any

import pytest
from apiflask import APIFlask

from models import Blob, Draft, Email, Upload
from models.database import database, run, write
from services.composing import drafts
from tests.composing.making import account, draft, file, upload
from tests.support.app import Caller
from utils.clock import DAY, now_ms

READY = {"to": ["bo@example.com"], "subject": "Hello", "body": "Hello Bo"}


def path(saved: dict[str, Any], more: str = "") -> str:
    return f"/api/compose/drafts/{saved['draftId']}{more}"


def change(caller: Caller, saved: dict[str, Any], **changes: Any) -> Any:
    response = caller.put(path(saved), changes)
    assert response.status_code == 200, response.json
    return response.json


def names(shown: dict[str, Any]) -> list[str]:
    return [one["filename"] for one in shown["attachments"]]


def test_it_may_lack_anything_but_its_account(ann: Caller, work: str) -> None:
    saved = draft(ann, work)
    assert saved["to"] == saved["cc"] == saved["bcc"] == saved["attachments"] == []
    assert (saved["subject"], saved["body"], saved["replyTo"], saved["sendAt"]) == ("", None, None, None)
    response = ann.post("/api/compose/drafts", {"subject": "no account"})
    assert (response.status_code, response.json["details"][0]["field"]) == (400, "accountId")


def test_half_an_address_is_kept_and_refused_when_it_is_sent(ann: Caller, work: str) -> None:
    saved = draft(ann, work, **READY | {"to": ["bo@exam"], "cc": ["ann"]})
    assert saved["cc"] == ["ann"]
    response = ann.post(path(saved, "/send"))
    assert response.status_code == 400
    assert "cc.0" in {one["field"] for one in response.json["details"]}
    assert ann.get(path(saved)).json == saved


def test_a_change_leaves_the_rest(ann: Caller, work: str) -> None:
    saved = draft(ann, work, **READY, cc=["cy@example.com"], replyTo="desk@acme.test", attachments=[file()])
    changed = change(ann, saved, cc=[], subject="Other")
    assert changed == saved | {"cc": [], "subject": "Other", "updatedAt": changed["updatedAt"]}


def test_null_empties_a_field(ann: Caller, work: str) -> None:
    saved = draft(ann, work, **READY, replyTo="desk@acme.test", sendAt=1, inReplyTo="<a@b.test>")
    emptied = change(ann, saved, to=None, subject=None, body=None, replyTo=None, sendAt=None, inReplyTo=None)
    for name in ("to", "subject", "body", "replyTo", "sendAt", "inReplyTo"):
        assert not emptied[name], name


def test_the_text_changes_its_form(ann: Caller, work: str) -> None:
    saved = draft(ann, work, body="plain")
    html = change(ann, saved, body="<p>html</p>", isHtml=True)
    assert (html["htmlBody"], html["textBody"], html["isHtml"]) == ("<p>html</p>", None, True)
    both = change(ann, saved, textBody="plain again")
    assert (both["htmlBody"], both["textBody"]) == ("<p>html</p>", "plain again")
    plain = change(ann, saved, body="only this")
    assert (plain["htmlBody"], plain["textBody"], plain["body"]) == (None, "only this", "only this")


@pytest.mark.parametrize(
    "body", [{}, {"subject": 5}, {"to": "bo@example.com"}, {"nonsense": 1}, {"isHtml": True}]
)
def test_a_wrong_change_is_refused(ann: Caller, work: str, body: dict[str, Any]) -> None:
    saved = draft(ann, work, **READY)
    assert ann.put(path(saved), body).status_code == 400
    assert ann.get(path(saved)).json == saved


def test_it_moves_to_another_account_of_the_user(ann: Caller, bob: Caller, work: str) -> None:
    saved, home = draft(ann, work, **READY), account(ann, emailAddress="ann@home.test")
    assert change(ann, saved, accountId=home)["accountId"] == home
    assert ann.get(f"/api/compose/drafts?accountId={work}").json["drafts"] == []
    assert ann.put(path(saved), {"accountId": account(bob)}).status_code == 404


# Attachments.


def test_attachments_are_kept_in_order(ann: Caller, work: str) -> None:
    ids = [upload(ann, "b"), upload(ann, "a")]
    saved = draft(ann, work, attachmentIds=ids, attachments=[file("c"), file("0")])
    assert names(saved) == ["b", "a", "c", "0"]
    mixed = [saved["attachments"][3]["id"], saved["attachments"][0]["id"]]
    assert names(change(ann, saved, attachmentIds=mixed, attachments=[file("n")])) == ["0", "b", "n"]


def test_the_same_file_may_be_attached_twice(ann: Caller, work: str) -> None:
    mine = upload(ann, "twice")
    saved = draft(ann, work, attachmentIds=[mine, mine])
    assert names(saved) == ["twice", "twice"]
    assert len({one["id"] for one in saved["attachments"]}) == 2
    assert names(change(ann, saved, attachmentIds=[mine])) == ["twice"]
    assert Upload.select().count() == 1


def test_what_is_no_longer_attached_goes_with_its_bytes(ann: Caller, work: str) -> None:
    saved = draft(ann, work, attachments=[file("a", b"one"), file("b", b"two"), file("c", b"one")])
    assert Blob.select().count() == 2
    keep = saved["attachments"][0]["id"]
    assert names(change(ann, saved, attachmentIds=[keep])) == ["a"]
    assert (Upload.select().count(), Blob.select().count()) == (1, 1)
    assert names(change(ann, saved, attachments=[])) == []
    assert (Upload.select().count(), Blob.select().count()) == (0, 0)


def test_two_drafts_may_hold_the_same_upload(ann: Caller, work: str) -> None:
    mine = upload(ann, "shared")
    first, second = draft(ann, work, attachmentIds=[mine]), draft(ann, work, attachmentIds=[mine])
    assert names(first) == names(second) == ["shared"]
    assert ann.delete(path(first)).status_code == 204
    assert names(ann.get(path(second)).json) == ["shared"]
    assert ann.post(path(change(ann, second, **READY), "/send")).status_code == 202


def test_an_unknown_attachment_changes_nothing(ann: Caller, bob: Caller, work: str) -> None:
    saved = draft(ann, work, **READY, attachments=[file()])
    response = ann.put(path(saved), {"subject": "Other", "attachmentIds": [upload(bob)]})
    assert (response.status_code, response.json["code"]) == (404, "ATTACHMENT_NOT_FOUND")
    assert ann.get(path(saved)).json == saved


# Sending.


def test_sending_ends_the_draft_and_frees_its_files(ann: Caller, work: str) -> None:
    saved = draft(ann, work, **READY, attachments=[file("a.txt", b"content")])
    response = ann.post(path(saved, "/send"))
    assert response.status_code == 202, response.json
    assert ann.get(path(saved)).status_code == 404
    assert Upload.select().count() == 0
    (shown,) = ann.get(f"/api/emails/{response.json['email_id']}").json["attachments"]
    assert (shown["filename"], shown["size"]) == ("a.txt", 7)
    assert b"Y29udGVudA==" in ann.get(f"/api/emails/{response.json['email_id']}/raw").get_data()


@pytest.mark.parametrize(
    ("body", "state"), [(None, "scheduled"), ({"sendAt": None}, "queued"), ({}, "scheduled")]
)
def test_it_goes_at_its_own_time_unless_told_otherwise(
    ann: Caller, work: str, body: dict[str, Any] | None, state: str
) -> None:
    saved = draft(ann, work, **READY, sendAt=now_ms() + DAY)
    email_id = ann.post(path(saved, "/send"), body).json["email_id"]
    assert Email.get_by_id(email_id).state == state


@pytest.mark.parametrize(("missing", "field"), [("to", "to"), ("subject", "subject"), ("body", "body")])
def test_an_unfinished_one_is_not_sent(ann: Caller, work: str, missing: str, field: str) -> None:
    saved = draft(ann, work, **{name: value for name, value in READY.items() if name != missing})
    response = ann.post(path(saved, "/send"))
    assert (response.status_code, response.json["details"][0]["field"]) == (400, field)
    assert ann.get(path(saved)).status_code == 200


def test_a_key_sends_it_once(ann: Caller, work: str) -> None:
    saved, key = draft(ann, work, **READY), {"Idempotency-Key": "one"}
    first = ann.post(path(saved, "/send"), headers=key)
    again = ann.post(path(saved, "/send"), headers=key)
    assert (again.status_code, again.json) == (202, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert ann.post(path(saved, "/send")).status_code == 404
    assert Email.select().count() == 1


def test_who_sends_at_once_sends_once(app: APIFlask, ann: Caller, work: str) -> None:
    for _ in range(5):
        saved, answers = draft(ann, work, **READY), []
        start = threading.Barrier(4)

        def send(saved: Any = saved, answers: Any = answers, start: Any = start) -> None:
            start.wait()
            answers.append(Caller(app.test_client(), ann.headers).post(path(saved, "/send")).status_code)
            database.close()

        threads = [threading.Thread(target=send) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert answers.count(202) == 1
        assert set(answers) <= {202, 404, 409}
    assert Email.select().count() == 5


def test_what_was_changed_meanwhile_is_not_sent_as_it_was(
    ann: Caller, work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = draft(ann, work, **READY)
    use_up = drafts.use_up

    def after_a_change(one: Draft) -> None:
        run("UPDATE drafts SET subject = 'Other', updated_at = updated_at + 1")
        use_up(one)

    monkeypatch.setattr(drafts, "use_up", after_a_change)
    response = ann.post(path(saved, "/send"))
    assert (response.status_code, response.json["code"]) == (409, "DRAFT_CHANGED")
    assert Email.select().count() == 0


# Who sees what.


def test_others_drafts_do_not_exist(ann: Caller, bob: Caller, eve: Caller, work: str) -> None:
    saved = draft(ann, work, **READY)
    for other in (bob, eve):
        assert other.get(path(saved)).status_code == 404
        assert other.put(path(saved), {"subject": "mine"}).status_code == 404
        assert other.post(path(saved, "/send")).status_code == 404
        assert other.delete(path(saved)).status_code == 404
        assert other.get(f"/api/compose/drafts?accountId={work}").status_code == 404
        assert other.get("/api/compose/drafts").json["drafts"] == []
        assert other.post("/api/compose/drafts", {"accountId": work}).status_code == 404
    assert ann.get(path(saved)).json == saved


def test_the_last_changed_come_first_page_by_page(ann: Caller, work: str) -> None:
    saved = [draft(ann, work, subject=str(number), textBody=f"text {number}") for number in range(5)]
    change(ann, saved[0], subject="changed", htmlBody="<p>Some <b>html</b></p>", textBody=None)
    pages = [ann.get(f"/api/compose/drafts?limit=2&offset={offset}").json for offset in (0, 2, 4)]
    assert [one["subject"] for page in pages for one in page["drafts"]] == ["changed", "4", "3", "2", "1"]
    assert [page["count"] for page in pages] == [2, 2, 1]
    assert {page["pagination"]["total"] for page in pages} == {5}
    assert [one["preview"] for one in pages[0]["drafts"]] == ["Some html", "text 4"]
    assert "body" not in pages[0]["drafts"][0]


def test_drafts_of_a_deleted_account_are_hidden_and_go_with_it(ann: Caller, work: str) -> None:
    saved = draft(ann, work, **READY, attachments=[file()])
    write(lambda: run("UPDATE accounts SET deleted_at = 1"))
    assert ann.get(path(saved)).status_code == 404
    assert ann.get("/api/compose/drafts").json["drafts"] == []
    assert drafts.prune() == 0
    write(lambda: run("DELETE FROM accounts"))
    assert drafts.prune() == 1
    assert (Draft.select().count(), Upload.select().count(), Blob.select().count()) == (0, 0, 0)
