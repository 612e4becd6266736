from __future__ import annotations

import email
import email.policy
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from apiflask import APIFlask

from models import Account, Folder, SentCopy
from models.database import run, write
from services.composing import copies
from tests.composing.making import account, file
from tests.composing.sent import Desk, copy, desk, due, message_ids, sent
from tests.support.app import Caller
from tests.support.cutting import cut_after
from tests.support.dovecot import FULL, MICROSOFT, PROFILES, Dovecot, shared
from tests.support.relay import delivering, wait_for
from tests.support.tcp import served
from utils.clock import DAY, HOUR, MINUTE, now_ms
from workers.sent_copies import SentCopies


@pytest.fixture
def ann_at_work(app: APIFlask, ann: Caller) -> Iterator[Desk]:
    with desk(app, ann) as found:
        yield found


@pytest.mark.parametrize("profile", PROFILES)
def test_sent_mail_is_in_the_sent_folder_once_and_seen(app: APIFlask, ann: Caller, profile: str) -> None:
    with desk(app, ann, profile) as at:
        email_id = at.send(cc=["cy@example.com"], attachments=[file("a.txt", b"content")])
        assert at.append() == 1
        ((facts, body),) = sent(at.dovecot, at.user)
        assert b"\\Seen" in facts
        assert message_ids([body]) == [at.message_id(email_id)]
        assert body == at.caller.get(f"/api/emails/{email_id}/raw").get_data()
        assert at.append(later=DAY) == 0
        assert len(at.sent()) == 1
        assert copy(email_id).state == "done"
        assert copy(email_id).uid == 1


def test_it_bears_the_date_of_sending_and_the_blind_recipients(ann_at_work: Desk) -> None:
    email_id = ann_at_work.send(bcc=["Bea <bea@example.com>", "jörg@example.com"])
    ann_at_work.append()
    ((facts, body),) = sent(ann_at_work.dovecot, ann_at_work.user)
    assert "Bcc: Bea <bea@example.com>, jörg@example.com\r\n" in body.decode()
    parsed = email.message_from_bytes(body, policy=email.policy.SMTPUTF8)
    assert parsed["To"].addresses[0].addr_spec == "bo@example.com"
    sent_at = ann_at_work.caller.get(f"/api/emails/{email_id}").json["sent_at"]
    told = re.search(rb'INTERNALDATE "[^"]*(\d\d:\d\d:\d\d) \+0000"', facts)
    assert told and told[1].decode() == sent_at[11:19]


def test_the_timeline_tells_of_it(ann_at_work: Desk) -> None:
    email_id = ann_at_work.send()
    ann_at_work.append()
    events = ann_at_work.caller.get(f"/api/emails/{email_id}/events").json
    assert [one["type"] for one in events][-2:] == ["sent", "copied"]
    assert events[-1]["detail"] == f"Sent of {ann_at_work.user}"


def test_nothing_is_copied_before_it_is_sent(ann_at_work: Desk) -> None:
    scheduled = ann_at_work.submit(sendAt=now_ms() + DAY)
    waiting = ann_at_work.submit()
    ann_at_work.caller.post(f"/api/emails/{ann_at_work.submit()}/cancel")
    assert ann_at_work.append(later=2 * DAY) == 0
    assert ann_at_work.sent() == []
    assert copies.due_accounts(now_ms() + 2 * DAY, 10) == []
    for one in (scheduled, waiting):
        assert copy(one).state == "waiting"


def test_mail_that_failed_rests_until_a_person_sends_it_again(ann_at_work: Desk) -> None:
    email_id = ann_at_work.submit()
    ann_at_work.caller.post(f"/api/emails/{email_id}/cancel")
    now = now_ms() + HOUR
    assert copies.tidy(now) == 1
    assert copy(email_id).next_at == now + copies.REST
    assert copies.tidy(now) == 0
    ann_at_work.caller.post(f"/api/emails/{email_id}/retry")
    with delivering(ann_at_work.relay, workers=1):
        wait_for(lambda: ann_at_work.state(email_id) == "sent")
    assert ann_at_work.append(later=2 * HOUR) == 1


def test_many_go_over_one_connection_in_the_order_they_were_sent(ann_at_work: Desk) -> None:
    ids = [ann_at_work.send(subject=str(number)) for number in range(3)]
    before = ann_at_work.dovecot.log().count("Login:") if "Login:" in ann_at_work.dovecot.log() else None
    assert ann_at_work.append() == 3
    if before is not None:
        assert ann_at_work.dovecot.log().count("Login:") == before + 1
    assert message_ids(ann_at_work.sent()) == [ann_at_work.message_id(one) for one in ids]


# Whether there is to be a copy, and where.


@pytest.mark.parametrize(("setting", "host", "wanted"), [
    ("auto", "smtp.example.com", True), ("auto", "smtp.gmail.com", False), ("auto", "SMTP.Office365.com", False),
    ("auto", "smtp-mail.outlook.com", False), ("always", "smtp.gmail.com", True), ("never", "smtp.example.com", False),
])  # fmt: skip
def test_a_provider_that_keeps_one_itself_gets_none(
    ann: Caller, setting: str, host: str, wanted: bool
) -> None:
    smtp = {"hostname": host}
    mine = account(ann, sentCopy=setting, smtp=smtp)
    assert ann.get(f"/api/accounts/{mine}").json["sentCopy"] == setting
    body = {"accountId": mine, "to": ["bo@example.com"], "subject": "Hello", "body": "Hello"}
    email_id = ann.post("/api/compose", body).json["email_id"]
    assert SentCopy.select().where(SentCopy.email_id == email_id).count() == wanted


def test_a_provider_by_name_does_as_it_does(ann: Caller) -> None:
    body = {"accountName": "G", "emailAddress": "ann@gmail.com", "provider": "gmail", "password": "p"}
    mine = ann.post("/api/accounts", body).json["id"]
    mail = {"accountId": mine, "to": ["bo@example.com"], "subject": "Hello", "body": "Hello"}
    assert ann.post("/api/compose", mail).status_code == 202
    assert SentCopy.select().count() == 0


def test_an_account_of_pop3_has_no_folders(ann: Caller) -> None:
    mine = account(ann, protocol="pop3", sentCopy="always")
    mail = {"accountId": mine, "to": ["bo@example.com"], "subject": "Hello", "body": "Hello"}
    assert ann.post("/api/compose", mail).status_code == 202
    assert SentCopy.select().count() == 0


def test_the_setting_is_changed_and_checked(ann: Caller, work: str) -> None:
    assert ann.put(f"/api/accounts/{work}", {"sentCopy": "never"}).json["sentCopy"] == "never"
    assert ann.put(f"/api/accounts/{work}", {"sentCopy": "sometimes"}).status_code == 400


def test_one_that_the_user_chose_goes_before_it(ann_at_work: Desk) -> None:
    client = ann_at_work.dovecot.client(ann_at_work.user)
    client.create('"My \\"own\\" &AOQ-"')
    client.logout()
    Folder.create(
        account_id=ann_at_work.account_id,
        raw_name=b'My "own" &AOQ-',
        name="x",
        role="sent",
        role_by_user=True,
    )
    ann_at_work.send()
    assert ann_at_work.append() == 1
    assert len(ann_at_work.sent('"My \\"own\\" &AOQ-"')) == 1
    assert ann_at_work.sent() == []


NO_FOLDERS = "namespace inbox {{\n mailbox Sent {{\n auto = no\n special_use =\n }}\n{more}}}\n"


@contextmanager
def without_sent(app: APIFlask, ann: Caller, profile: str, more: str = "") -> Iterator[Desk]:
    dovecot = Dovecot(profile, more=NO_FOLDERS.format(more=more))
    try:
        with desk(app, ann, dovecot) as at:
            yield at
    finally:
        dovecot.destroy()


@pytest.mark.parametrize(("more", "name"), [("", "Sent"), (" prefix = INBOX/\n", "INBOX/Sent")])
def test_without_one_it_is_made(app: APIFlask, ann: Caller, more: str, name: str) -> None:
    with without_sent(app, ann, FULL, more) as at:
        at.send()
        assert at.append() == 1
        assert len(at.sent(name)) == 1
        client = at.dovecot.client(at.user)
        assert name.encode() in b" ".join(client.lsub()[1])
        client.logout()


def test_a_sent_folder_in_another_language_is_found(app: APIFlask, ann: Caller) -> None:
    with without_sent(app, ann, MICROSOFT) as at:  # names no roles
        client = at.dovecot.client(at.user)
        client.create('"Gesendete Elemente"')
        client.logout()
        at.send()
        assert at.append() == 1
        assert len(at.sent('"Gesendete Elemente"')) == 1


# Trouble.


def test_a_copy_that_is_there_already_is_left_alone(ann_at_work: Desk) -> None:
    """As when the provider has put it there, or a process died between the APPEND and its record."""
    email_id = ann_at_work.send()
    raw = ann_at_work.caller.get(f"/api/emails/{email_id}/raw").get_data()
    client = ann_at_work.dovecot.client(ann_at_work.user)
    client.append("Sent", "", None, raw)
    client.logout()
    assert ann_at_work.append() == 1
    assert len(ann_at_work.sent()) == 1
    assert copy(email_id).state == "done"


def test_a_server_that_is_away_is_tried_again_ever_later(app: APIFlask, ann: Caller) -> None:
    with served(lambda sock: None) as port, desk(app, ann, port=port) as at:
        email_id = at.send()
        waits = []
        for tries in range(1, 8):
            due()
            before = now_ms()
            assert at.append() == 0
            assert copy(email_id).tries == tries
            waits.append(copy(email_id).next_at - before)
        assert waits[0] <= 30_000 + 1_000 and waits[-1] > 15 * MINUTE
        assert copy(email_id).error
        other = at.send(subject="Other")
        due()
        at.append()
        assert copy(other).next_at == copy(email_id).next_at
        Account.update(port=at.dovecot.imap).execute()
        assert at.append() == 0
        due()
        run_as_ever(at)
        assert len(at.sent()) == 2


def run_as_ever(at: Desk) -> None:
    """The account is aimed at its server again; its stored password belongs to the server it was first used for."""
    write(lambda: run("UPDATE credentials SET endpoint = ?", f"none://{at.user}@127.0.0.1:{at.dovecot.imap}"))
    assert at.append() == 2


def test_a_refused_login_is_not_repeated(ann_at_work: Desk) -> None:
    email_id = ann_at_work.send()
    path = f"/api/accounts/{ann_at_work.account_id}"
    ann_at_work.caller.put(path, {"password": "wrong"})
    assert ann_at_work.append() == 0
    assert ann_at_work.caller.get(path).json["state"] == "needs_reauth"
    due()
    assert copies.due_accounts(now_ms(), 10) == []
    assert ann_at_work.append() == 0
    assert copy(email_id).tries == 1
    ann_at_work.caller.put(path, {"password": "planted-mailbox-password"})
    assert ann_at_work.append() == 1
    assert len(ann_at_work.sent()) == 1


def test_a_copy_that_the_server_refuses_does_not_hold_up_the_others(app: APIFlask, ann: Caller) -> None:
    quota = (
        "mail_plugins = $mail_plugins quota\nprotocol imap {\n mail_plugins = $mail_plugins quota imap_quota\n}\n"
        "plugin {\n quota = maildir:User quota\n quota_rule = *:storage=100K\n quota_grace = 0\n}\n"
    )
    dovecot = Dovecot(FULL, more=quota)
    try:
        with desk(app, ann, dovecot) as at:
            large = at.send(attachments=[file("large", b"x" * 200_000)])
            small = at.send()
            assert at.append() == 1
            assert message_ids(at.sent()) == [at.message_id(small)]
            assert (copy(large).state, copy(large).tries) == ("waiting", 1)
            assert "quota" in (copy(large).error or "").lower()
    finally:
        dovecot.destroy()


def test_it_is_given_up_after_a_week_of_tries(ann_at_work: Desk) -> None:
    email_id = ann_at_work.send()
    write(lambda: run("UPDATE sent_copies SET tries = 11, created_at = ?", now_ms() - 8 * DAY))
    (claimed,) = copies.claim(ann_at_work.account_id, now_ms())
    copies.failed(claimed, "no more room", now_ms())
    assert (copy(email_id).state, copy(email_id).error) == ("failed", "no more room")
    events = ann_at_work.caller.get(f"/api/emails/{email_id}/events").json
    assert (events[-1]["type"], events[-1]["detail"]) == ("copy_failed", "no more room")


def test_erased_mail_is_not_copied(ann_at_work: Desk) -> None:
    email_id = ann_at_work.send()
    ann_at_work.caller.delete(f"/api/emails/{email_id}")
    assert ann_at_work.append() == 0
    assert copy(email_id).state == "failed"
    assert ann_at_work.sent() == []


def test_a_deleted_account_gets_none(ann_at_work: Desk) -> None:
    ann_at_work.send()
    ann_at_work.caller.delete(f"/api/accounts/{ann_at_work.account_id}")
    assert ann_at_work.append() == 0
    assert copies.tidy(now_ms()) == 1
    assert SentCopy.select().count() == 0


def test_a_config_that_is_gone_since_leaves_the_sender(ann_at_work: Desk) -> None:
    ann_at_work.send()
    ann_at_work.caller.put(f"/api/accounts/{ann_at_work.account_id}", {"smtp": None})
    assert ann_at_work.append() == 1
    assert f"From: {ann_at_work.user}".encode() in ann_at_work.sent()[0]


@pytest.mark.parametrize("count", range(0, 3_000, 150))
def test_a_connection_cut_anywhere_loses_and_doubles_nothing(app: APIFlask, ann: Caller, count: int) -> None:
    """The server's answers end after so many bytes: among them the one to the APPEND."""
    with cut_after(count, shared(FULL).imap) as port, desk(app, ann, port=port) as at:
        ids = [at.send(), at.send()]
        at.append()
        due()
        at.append()
        found = message_ids(at.sent())
        assert len(found) == len(set(found))
        write(lambda: run("UPDATE accounts SET port = ?", at.dovecot.imap))
        write(
            lambda: run(
                "UPDATE credentials SET endpoint = ?", f"none://{at.user}@127.0.0.1:{at.dovecot.imap}"
            )
        )
        due()
        at.append()
        assert sorted(message_ids(at.sent())) == sorted(at.message_id(one) for one in ids)
        assert {copy(one).state for one in ids} == {"done"}


def test_a_try_that_has_lost_its_lease_appends_nothing(
    ann_at_work: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was stopped between its search and its APPEND, while another one did the work."""
    from services.composing import appending

    email_id, search = ann_at_work.send(), appending._SentFolder.has

    def stopped_after(folder: Any, message_id: str) -> bool:
        monkeypatch.setattr(appending._SentFolder, "has", search)
        found = search(folder, message_id)
        assert ann_at_work.append(later=HOUR) == 1
        return found

    monkeypatch.setattr(appending._SentFolder, "has", stopped_after)
    assert ann_at_work.append() == 0
    assert len(ann_at_work.sent()) == 1
    assert copy(email_id).state == "done"


# The thread that does it.


def test_it_happens_by_itself(app: APIFlask, ann: Caller, bob: Caller) -> None:
    """One silent server delays nobody else's copies."""
    relay, over = app.extensions["mailferry"], threading.Event()
    with (
        served(lambda sock: over.wait(20) and None) as silent,
        desk(app, bob, port=silent) as stuck,
        desk(app, ann) as at,
        delivering(relay, workers=1),
    ):
        worker = SentCopies(relay, tick=50)
        worker.start()
        try:
            waits = stuck.submit()
            ids = [at.submit(subject=str(number)) for number in range(25)]
            wait_for(lambda: len(at.sent()) == 25, 30)
            wait_for(lambda: {copy(one).state for one in ids} == {"done"})
            assert (copy(waits).state, copy(waits).tries) == ("waiting", 1)
        finally:
            over.set()
            worker.stop()
