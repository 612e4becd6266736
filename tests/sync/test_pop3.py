"""POP3 accounts: new mail is added, and nothing on the server is touched."""

from __future__ import annotations

import poplib
import random
import re
import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from email.message import EmailMessage
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from models.database import rows, run, write
from services.imap import Client as ImapClient
from services.imap import Endpoint, fetch, select
from services.sync import bodies, pop3_pass
from services.sync.pop3_pass import received_at
from services.sync.structure import leaves
from services.sync.whole import read_whole
from tests.accounts.conftest import user
from tests.support import corpora
from tests.support.app import Caller, running_app
from tests.support.dovecot import FULL, HOST, PASSWORD, Dovecot, shared
from tests.support.pop3 import Pop3, Said, listing, mailbox, pop3
from tests.support.syncing import letter
from tests.sync.test_http import add_account, ended, eventually, polling, start
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


def test_parts_are_those_that_an_imap_server_tells() -> None:
    """Of other people's mail. Where they differ, the header is broken or no part is delimited."""
    server = shared()
    name = server.user()
    mails = [(one, wired(raw)) for one, raw in corpora.of_python() if one not in BROKEN]
    client = server.client(name)
    for _, raw in mails:
        assert client.append("INBOX", "", "", raw)[0] == "OK"
    client.logout()
    with ImapClient.open(
        Endpoint(HOST, server.imap, "none", True, name, PASSWORD, allow_private=True)
    ) as imap:
        select(imap, b"INBOX")
        told = fetch(imap, "1:*", "UID BODYSTRUCTURE").messages
    assert len(told) == len(mails) > 30
    for (one, raw), uid in zip(mails, sorted(told), strict=True):
        expected = [replace(leaf, charset="") for leaf in leaves(told[uid][b"BODYSTRUCTURE"])]
        assert [replace(leaf, charset="") for leaf in read_whole([raw]).leaves] == expected, one


def wired(raw: bytes) -> bytes:
    return re.sub(rb"\r?\n", b"\r\n", re.sub(rb"^From .*\n", b"", raw))


BROKEN = {f"cpython/msg_{number}.txt" for number in (14, 17, 19, 25, 31, 33, 35, 38, 41, 47)}


def with_files(*files: tuple[str, bytes]) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = "Bob <bob@example.com>", "ann@example.test", "The plans"
    mail.set_content("See attached.")
    mail.add_alternative('<p>See <b>attached</b><img src="cid:logo@x"></p>', subtype="html")
    mail.get_payload()[1].add_related(b"\x89PNG....", "image", "png", cid="<logo@x>")  # type: ignore[union-attr]
    for filename, data in files:
        mail.add_attachment(data, "application", "pdf", filename=filename)
    return mail.as_bytes()


def detail(ann: Caller, account: str) -> dict[str, Any]:
    folders = ann.get(f"/api/{account}/folders").json["folders"]
    (listed,) = ann.get(f"/api/{account}/folders/{folders[0]['id']}/messages").json["messages"]
    told: dict[str, Any] = ann.get(f"/api/{account}/messages/{listed['id']}").json
    return told


BYTES = random.Random(1).randbytes(700_001)


def test_a_message_is_shown_and_its_files_come_byte_for_byte(
    app: APIFlask, ann: Caller, poller: Poller, server: Dovecot
) -> None:
    name = server.user()
    server.deliver(name, with_files(("one.pdf", BYTES), ("two.pdf", b"second")))
    account = account_of(ann, server, name)
    sync(ann, account)
    shown = detail(ann, account)
    assert shown["hasBody"] and shown["body"].strip() == "See attached."
    image, one, two = shown["attachments"]
    assert "<b>attached</b>" in shown["bodyHtml"]
    assert image["downloadUrl"].replace("&", "&amp;") in shown["bodyHtml"]
    assert [(each["filename"], each["isInline"]) for each in (one, two)] == [
        ("one.pdf", False),
        ("two.pdf", False),
    ]
    assert abs(one["size"] - len(BYTES)) < 10
    stranger = app.test_client()  # the link is all that he has
    assert [stranger.get(each["downloadUrl"]).data for each in (image, one, two)] == [
        b"\x89PNG....",
        BYTES,
        b"second",
    ]
    path = f"/api/{account}/attachments/{one['id']}/download"
    assert user_of(ann, "bob").get(path).status_code == 404
    assert on_server(server, name).stat()[0] == 1
    write(lambda: run("UPDATE letters SET server_id = 'another'"))
    assert ann.get(path).status_code == 404
    ann.put(f"/api/accounts/{account}", {"port": 9, "password": PASSWORD})
    assert (ann.get(path).status_code, ann.get(path).json["code"]) == (502, "MAIL_SERVER_ERROR")


def test_a_login_that_was_refused_is_not_tried_again_by_a_download(
    app: APIFlask, ann: Caller, server: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = server.user()
    server.deliver(name, with_files(("one.pdf", BYTES)))
    account = account_of(ann, server, name)
    with polling(app):
        sync(ann, account)
    (_, one) = detail(ann, account)["attachments"]
    ann.put(f"/api/accounts/{account}", {"password": "wrong"})
    path = f"/api/{account}/attachments/{one['id']}/download"
    answer = ann.get(path)
    assert (answer.status_code, answer.json["code"]) == (502, "NEEDS_REAUTH")
    assert ann.get(f"/api/accounts/{account}").json["state"] == "needs_reauth"
    monkeypatch.setattr("services.pop3.Client.open", None)
    answer = ann.get(path)
    assert (answer.status_code, answer.json["code"]) == (409, "NEEDS_REAUTH")


def test_a_message_too_large_to_come_whole_is_read_from_its_beginning(
    ann: Caller, poller: Poller, server: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pop3_pass, "LARGEST", 100_000)
    name = server.user()
    server.deliver(name, with_files(("one.pdf", BYTES)))
    account = account_of(ann, server, name)
    sync(ann, account)
    shown = detail(ann, account)
    assert shown["body"].strip() == "See attached."
    (_, one) = shown["attachments"]
    assert abs(one["size"] - len(BYTES)) < 1_000
    assert ann.get(f"/api/{account}/attachments/{one['id']}/download").data == BYTES


def test_of_a_long_text_as_much_is_kept_as_of_any_other(ann: Caller, poller: Poller, server: Dovecot) -> None:
    name = server.user()
    server.deliver(name, letter(1, body="A line of it\n" * 150_000))
    sync(ann, account_of(ann, server, name))
    ((text, size),) = rows("SELECT text, size FROM letters")
    assert text.startswith("A line of it")
    assert 900_000 < len(text) <= bodies.LARGEST < size


# Servers that keep to nothing.


def on(ann: Caller, server: Pop3) -> str:
    return add_account(ann, protocol="pop3", port=server.port)


def numbered(count: int) -> dict[str, bytes]:
    return {f"uid-{number}": letter(number) + b".\r\n" for number in range(1, count + 1)}


def subjects() -> set[str]:
    return {subject for (subject,) in rows("SELECT subject FROM letters")}


def quarantined() -> int:
    return int(rows("SELECT count(*) FROM quarantined")[0][0])


def test_two_copies_with_one_uid_are_one_message(ann: Caller, poller: Poller) -> None:
    """A UID may be a hash of the message (RFC 1939, 7)."""
    answers = mailbox(numbered(3)) | {"UIDL": listing({1: "same", 2: "same", 3: "other"})}
    with pop3(answers) as server:
        account = on(ann, server)
        assert sync(ann, account) == 2
        assert sync(ann, account) == 0
    assert rows("SELECT count(*) FROM letters") == [(2,)]


def test_a_message_that_the_server_cannot_give_holds_up_no_other(ann: Caller, poller: Poller) -> None:
    with pop3(mailbox(numbered(5)) | {"RETR 3": b"-ERR it is broken\r\n"}) as server:
        account = on(ann, server)
        assert sync(ann, account) == 4
        assert quarantined() == 1
        server.answers = mailbox(numbered(5))
        assert sync(ann, account) == 0
        assert sync(ann, account, force=True) == 1
        assert quarantined() == 0


def test_a_server_that_gives_none_is_in_trouble_and_no_message_is_blamed(ann: Caller, poller: Poller) -> None:
    with pop3(
        mailbox(numbered(20)) | {f"RETR {number}": b"-ERR no\r\n" for number in range(1, 21)}
    ) as server:
        account = on(ann, server)
        task = start(ann, account)
        eventually(lambda: ann.get(f"/api/sync/task/{task}").json["status"] == "retry")
        assert quarantined() == 0
        server.answers = mailbox(numbered(20))
        assert sync(ann, account) == 20


def test_a_server_that_is_busy_blames_no_message(ann: Caller, poller: Poller) -> None:
    with pop3(mailbox(numbered(2)) | {"RETR 1": b"-ERR [SYS/TEMP] later\r\n"}) as server:
        task = start(ann, on(ann, server))
        eventually(lambda: ann.get(f"/api/sync/task/{task}").json["status"] == "retry")
        assert quarantined() == 0


def endless(sock: socket.socket) -> None:
    sock.sendall(b"+OK\r\n")
    with suppress(OSError):
        while True:
            sock.sendall(b"x" * 1_000_000)


def test_a_message_that_never_ends_is_set_aside(ann: Caller, poller: Poller) -> None:
    """Whatever LIST says of its size."""
    with pop3(mailbox(numbered(3)) | {"RETR 2": endless}) as server:
        account = on(ann, server)
        task = start(ann, account)
        eventually(lambda: ann.get(f"/api/sync/task/{task}").json["status"] == "retry")
        assert quarantined() == 1
        assert sync(ann, account) >= 1
    assert subjects() == {"Letter 1", "Letter 3"}


@pytest.mark.parametrize("said", [lambda sock: sock.shutdown(socket.SHUT_RDWR), b"nonsense\r\n"])
def test_a_message_at_which_the_server_dies_each_time_is_set_aside(
    ann: Caller, poller: Poller, said: Said
) -> None:
    with pop3(mailbox(numbered(3)) | {"RETR 2": said}) as server:
        account = on(ann, server)
        task = start(ann, account)
        eventually(lambda: ann.get(f"/api/sync/task/{task}").json["status"] == "retry")
        assert (subjects(), quarantined()) == ({"Letter 3"}, 0)  # it may be the server's fault
        write(lambda: run("UPDATE accounts SET failures = 2, next_sync_at = 0"))
        eventually(lambda: quarantined() == 1)
        assert sync(ann, account) == 1
    assert subjects() == {"Letter 1", "Letter 3"}


def test_without_top_a_message_that_is_too_large_holds_up_no_other(
    ann: Caller, poller: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pop3_pass, "LARGEST", 1_000)
    large = {"large": letter(9, body="x\r\n" * 1_000) + b".\r\n"}
    with pop3(mailbox(numbered(1) | large | numbered(2)) | {"CAPA": b"+OK\r\nUIDL\r\n.\r\n"}) as server:
        assert sync(ann, on(ann, server)) == 2
    assert "TOP" in rows("SELECT reason FROM quarantined")[0][0]


def test_without_uidl_it_says_so(ann: Caller, poller: Poller) -> None:
    with pop3({"LIST": listing({1: 2})}) as server:
        task = start(ann, on(ann, server))
        told = eventually(lambda: ann.get(f"/api/sync/task/{task}").json["error"])
    assert "UID" in told


def test_large_messages_pass_through_little_memory(
    ann: Caller, poller: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = (b"eHh4" * 19 + b"\r\n") * 1_000
    head = with_files(("big.pdf", b"")).rpartition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    def large(sock: socket.socket) -> None:
        sock.sendall(b"+OK\r\n" + head)
        for _ in range(200):
            sock.sendall(block)
        sock.sendall(b".\r\n")

    sizes = dict.fromkeys(range(1, 9), 15_600_000)
    uids = {number: f"uid-{number}" for number in sizes}
    with pop3({"UIDL": listing(uids), "LIST": listing(sizes), "RETR": large}) as server:
        account = on(ann, server)
        tracemalloc.start()
        assert sync(ann, account) == 8
        (part,) = rows("SELECT id FROM parts WHERE filename = 'big.pdf' AND size > 15000000 LIMIT 1")
        answer = ann.get(f"/api/{account}/attachments/{part[0]}/download", buffered=False)
        size = sum(map(len, answer.response))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert size == 200 * 1_000 * 57
    assert peak < 20_000_000


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
