"""POP3 accounts: new mail is added, and nothing on the server is touched."""

from __future__ import annotations

import poplib
from collections.abc import Iterator
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

import pytest
from apiflask import APIFlask

from models.database import rows, run, write
from services.sync import pop3_pass
from services.sync.pop3_pass import received_at
from tests.accounts.conftest import user
from tests.support.app import Caller, running_app
from tests.support.dovecot import FULL, HOST, PASSWORD, Dovecot, shared
from tests.support.syncing import letter
from tests.sync.test_http import add_account, ended, polling, start
from workers.poller import Poller


@pytest.fixture
def app(tmp_path: Path) -> Iterator[APIFlask]:
    with running_app(tmp_path, ALLOW_PRIVATE_HOSTS="on") as app:
        yield app


@pytest.fixture
def ann(app: APIFlask) -> Caller:
    return user(app, "acme", "ann")


@pytest.fixture
def poller(app: APIFlask) -> Iterator[Poller]:
    with polling(app) as poller:
        yield poller


@pytest.fixture
def server() -> Dovecot:
    return shared(FULL)


def account_of(ann: Caller, server: Dovecot, name: str) -> str:
    return add_account(ann, server, name, protocol="pop3", port=server.pop3)


def sync(ann: Caller, account: str, **options: object) -> int:
    task = ended(ann, start(ann, account, **options))
    assert task["status"] == "success", task
    return int(task["result"]["messagesAdded"])


def on_server(server: Dovecot, name: str) -> poplib.POP3:
    client = poplib.POP3(HOST, server.pop3)
    client.user(name)
    client.pass_(PASSWORD)
    return client


def test_new_mail_is_added_once_and_stays_on_the_server(ann: Caller, poller: Poller, server: Dovecot) -> None:
    name = server.user()
    for number in range(25):
        server.deliver(name, letter(number))
    account = account_of(ann, server, name)
    assert sync(ann, account) == 25
    assert sync(ann, account) == 0
    server.deliver(name, letter(99))
    assert sync(ann, account) == 1
    client = on_server(server, name)
    assert client.stat()[0] == 26
    client.quit()
    texts = rows("SELECT subject, text, has_body FROM letters ORDER BY id")
    assert {one[1].split("\n")[0] for one in texts} >= {"Text of letter 0", "Text of letter 99"}
    assert all(one[2] for one in texts)
    assert rows("SELECT role, message_count, unread_count FROM folders") == [("inbox", 26, 26)]
    assert rows("SELECT count(DISTINCT conversation_id) FROM letters") == [(26,)]


def test_what_another_client_deletes_there_stays_here(ann: Caller, poller: Poller, server: Dovecot) -> None:
    name = server.user()
    server.deliver(name, letter(1))
    account = account_of(ann, server, name)
    sync(ann, account)
    client = on_server(server, name)
    client.dele(1)
    client.quit()
    assert sync(ann, account) == 0
    assert rows("SELECT count(*) FROM messages WHERE gone_at IS NULL") == [(1,)]


def test_what_is_deleted_here_does_not_come_again(ann: Caller, poller: Poller, server: Dovecot) -> None:
    name = server.user()
    server.deliver(name, letter(1))
    account = account_of(ann, server, name)
    sync(ann, account)
    write(lambda: run("UPDATE messages SET gone_at = 1"))
    assert sync(ann, account) == 0
    assert rows("SELECT count(*) FROM messages WHERE gone_at IS NULL") == [(0,)]
    client = on_server(server, name)
    client.dele(1)
    client.quit()
    sync(ann, account)
    assert rows("SELECT count(*) FROM messages") == [(0,)]
    assert rows("SELECT count(*) FROM letters") == [(0,)]


def test_parts_have_the_numbers_that_imap_gives_them(ann: Caller, poller: Poller, server: Dovecot) -> None:
    name = server.user()
    mail = MIMEMultipart("mixed")
    mail["Subject"] = "Grüße"
    alternative = MIMEMultipart("alternative")
    alternative.attach(MIMEText("Grüße", "plain", "utf-8"))
    alternative.attach(MIMEText("<p>Grüße</p>", "html", "utf-8"))
    mail.attach(alternative)
    attached = MIMEApplication(b"%PDF", "pdf")
    attached.add_header("Content-Disposition", "attachment", filename=("utf-8", "", "ü.pdf"))
    mail.attach(attached)
    server.deliver(name, mail.as_bytes())
    sync(ann, account_of(ann, server, name))
    by_pop3 = rows("SELECT section, filename, mime_type, encoding FROM parts")
    letters = rows("SELECT subject, text, html FROM letters")
    assert letters == [("Grüße", "Grüße", "<p>Grüße</p>")]
    write(lambda: run("DELETE FROM parts"))
    write(lambda: run("DELETE FROM letters"))
    bob = user_of(ann, "bob")
    sync(bob, add_account(bob, server, name))
    assert rows("SELECT section, filename, mime_type, encoding FROM parts") == by_pop3
    assert rows("SELECT subject, text, html FROM letters") == letters


def user_of(caller: Caller, name: str) -> Caller:
    return Caller(caller.client, caller.headers | {"X-User-ID": name})


def test_a_large_message_is_read_from_its_beginning(
    ann: Caller, poller: Poller, server: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pop3_pass, "LARGEST", 10_000)
    name = server.user()
    server.deliver(name, letter(1, body="A line of it\n" * 10_000))
    sync(ann, account_of(ann, server, name))
    (text, size) = rows("SELECT text, size FROM letters")[0]
    assert text.startswith("A line of it")
    assert len(text) < 50_000 < size


def test_a_refused_login(ann: Caller, poller: Poller, server: Dovecot) -> None:
    account = add_account(ann, server, protocol="pop3", port=server.pop3, password="planted-wrong")
    task = ended(ann, start(ann, account))
    assert task["status"] == "failure"
    assert ann.get(f"/api/accounts/{account}").json["state"] == "needs_reauth"


def test_when_it_was_received() -> None:
    header = "Return-Path: <a@x>\r\nReceived: from a by b\r\n with ESMTP; Wed, 25 Nov 2026\r\n 10:00:00 +0000\r\nX: y"
    assert received_at(header) == 1_795_600_800_000
    assert received_at("Subject: none") is None
    assert received_at("Received: nonsense") is None
