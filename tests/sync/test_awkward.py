"""Messages and folders that nobody would send on purpose, or only to do harm."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from email.mime.application import MIMEApplication
from email.mime.image import MIMEImage
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import Any

import pytest

from models.database import rows
from services.imap import ImapError, Reason
from services.sync import arrivals, texts
from services.sync.run import Run
from tests.support.dovecot import FULL, MICROSOFT
from tests.support.syncing import Mailbox, letter, quoted

MEGABYTE = 1_000_000


@pytest.fixture
def mailbox(mailbox_on: Callable[[str], Mailbox]) -> Mailbox:
    return mailbox_on(FULL)


def put(mailbox: Mailbox, *messages: bytes, folder: str = "INBOX") -> None:
    client = mailbox.server.client(mailbox.user)
    for one in messages:
        assert client.append(folder, "", "", one)[0] == "OK"
    client.logout()


def only_letter(columns: str = "subject, text, html, preview") -> tuple[Any, ...]:
    found = rows(f"SELECT {columns} FROM letters")
    assert len(found) == 1
    return found[0]


def test_text_html_and_attachments_are_told_apart(mailbox: Mailbox) -> None:
    mail = MIMEMultipart("mixed")
    mail["Subject"] = "Everything"
    alternative, related = MIMEMultipart("alternative"), MIMEMultipart("related")
    alternative.attach(MIMEText("Grüße aus Köln", "plain", "iso-8859-1"))
    related.attach(MIMEText('<p>Grüße <img src="cid:logo@x"></p>', "html", "utf-8"))
    image = MIMEImage(b"GIF89a....", "gif")
    image["Content-ID"] = "<logo@x>"
    related.attach(image)
    alternative.attach(related)
    mail.attach(alternative)
    attached = MIMEApplication(b"%PDF-1.4", "pdf")
    attached.add_header("Content-Disposition", "attachment", filename=("utf-8", "", "Übersicht 2026.pdf"))
    mail.attach(attached)
    mail.attach(MIMEMessage(MIMEText("inner", "plain")))
    put(mailbox, mail.as_bytes())
    mailbox.sync()
    _, text, html, preview = only_letter()
    assert (text, preview) == ("Grüße aus Köln", "Grüße aus Köln")
    assert html.startswith("<p>Grüße")
    parts = rows("SELECT section, filename, mime_type, content_id, is_inline FROM parts ORDER BY id")
    assert [(*one[:4], bool(one[4])) for one in parts] == [
        ("1.2.2", "", "image/gif", "logo@x", True),
        ("2", "Übersicht 2026.pdf", "application/pdf", None, False),
        ("3", "message.eml", "message/rfc822", None, False),
    ]


def test_text_is_derived_from_html_that_came_alone(mailbox: Mailbox) -> None:
    mail = MIMEText('<p>Hello <a href="https://example.com/x">you</a></p>', "html")
    put(mailbox, mail.as_bytes())
    mailbox.sync()
    assert only_letter()[1] == "Hello you (https://example.com/x)"


def test_headers_in_any_encoding(mailbox: Mailbox) -> None:
    put(
        mailbox,
        b"From: =?utf-8?q?J=C3=BCrgen=2C_M=2E?= <J@Example.com>\r\nTo: a@example.com,\r\n \"B, C\" <b@example.com>\r\n"
        b"Cc: undisclosed-recipients:;\r\nSubject: =?iso-8859-1?q?Gr=FC=DFe?=\r\n =?utf-8?b?IPCfmIA=?=\r\n"
        b"Message-ID: <one@example.com>\r\nIn-Reply-To: <zero@example.com>\r\nReferences: <a@x>\r\n\t<b@x>\r\n"
        b"Date: Tue, 24 Nov 2026 23:30:00 -0130\r\n\r\nHello\r\n",
    )  # fmt: skip
    mailbox.sync()
    subject, sender, recipients, message_id, answers, refs, sent_at = only_letter(
        "subject, sender, recipients, message_id, in_reply_to, refs, sent_at"
    )
    assert subject == "Grüße 😀"
    assert json.loads(sender) == ["Jürgen, M.", "J@Example.com"]
    assert json.loads(recipients)["to"] == [["", "a@example.com"], ["B, C", "b@example.com"]]
    assert (message_id, answers, refs) == ("<one@example.com>", "<zero@example.com>", "<a@x> <b@x>")
    assert sent_at == 1_795_568_400_000 or sent_at % 1000 == 0


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        (b"caf\xe9", "café"),
        ("café".encode(), "café"),
        (b"=?unknown-8bit?q?caf=E9?=", "café"),
        (b"=?utf-8?b?broken", "=?utf-8?b?broken"),
        (b"nul\x80\xff", None),
        (b"=?utf-7?q?+2AA-?=", None),
    ],
)
def test_subjects_that_break_the_rules(mailbox: Mailbox, subject: bytes, shown: str | None) -> None:
    put(mailbox, b"Subject: " + subject + b"\r\n\r\nHello\r\n")
    mailbox.sync()
    told = only_letter()[0]
    assert shown is None or told == shown
    assert rows("SELECT count(*) FROM quarantined") == [(0,)]


@pytest.mark.parametrize(
    "message",
    [
        b"\r\n",
        b"\r\nno header at all\r\n",
        b"Subject: no body",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x--\r\n",
        b"Content-Type: text/plain; charset=no-such-charset\r\n\r\ncaf\xe9\r\n",
        b"Content-Type: text/plain; charset=idna\r\n\r\nhello\r\n",
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!not base64!\r\n",
        b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a\r\n",
        b"From: " + b"(" * 5000 + b"\r\n\r\nx\r\n",
        b"To: " + b"a@example.com, " * 5000 + b"b@example.com\r\n\r\nx\r\n",
        b"Date: Tue, 31 Feb 99999 99:99:99 +9999\r\n\r\nx\r\n",
        b"Message-ID: " + b"<a@b>" * 5000 + b"\r\nReferences: " + b"<a@b>\r\n " * 5000 + b"\r\n\r\nx\r\n",
        b"Content-Type: text/html\r\n\r\n" + b"<div>" * 50_000 + b"\r\n",
        b'Content-Type: application/pdf; name="=?utf-8?q?../../etc/passwd?="\r\n\r\nx\r\n',
        b"Content-Disposition: attachment; filename*0*=utf-8''a%; filename*1=b; filename*2*=%zz\r\n\r\nx\r\n",
    ],
)  # fmt: skip
def test_malformed_messages_are_read_as_far_as_can_be(mailbox: Mailbox, message: bytes) -> None:
    put(mailbox, message, letter(1))
    mailbox.sync()
    assert rows("SELECT count(*) FROM messages") == [(2,)]
    assert rows("SELECT count(*) FROM letters WHERE NOT has_body") == [(0,)]
    assert rows("SELECT count(*) FROM quarantined") == [(0,)]
    assert rows("SELECT count(*) FROM parts WHERE filename LIKE '%/%'") == [(0,)]


def test_a_header_of_a_megabyte(mailbox: Mailbox) -> None:
    put(mailbox, b"Subject: big\r\nX-Long: " + b"x" * MEGABYTE + b"\r\n\r\nHello\r\n", letter(1))
    mailbox.sync()
    assert rows("SELECT subject, length(headers) <= 65536 FROM letters ORDER BY id")[0][0] in (
        "big",
        "Letter 1",
    )
    assert rows("SELECT count(*) FROM letters WHERE has_body") == [(2,)]


@pytest.mark.parametrize("count", [10_000])
def test_a_message_of_ten_thousand_parts(mailbox: Mailbox, count: int) -> None:
    part = b"--x\r\nContent-Type: application/octet-stream; name=a.bin\r\n\r\nx\r\n"
    put(
        mailbox, b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + part * count + b"--x--\r\n", letter(1)
    )
    mailbox.sync()
    assert rows("SELECT count(*) FROM messages") == [(2,)]
    assert rows("SELECT count(*) FROM parts") == [(1_000,)]


@pytest.mark.parametrize("depth", [50, 1_000])
def test_a_message_nested_deeply(mailbox: Mailbox, depth: int) -> None:
    head = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (at, at) for at in range(depth)
    )
    put(mailbox, head + b"\r\nthe core\r\n", letter(1))
    mailbox.sync()
    assert rows("SELECT count(*) FROM letters WHERE subject = 'Letter 1' AND has_body") == [(1,)]


def test_text_of_more_than_a_megabyte_is_cut(mailbox: Mailbox) -> None:
    put(mailbox, letter(1, body="0123456789abcde\n" * 200_000))
    mailbox.sync()
    (text,) = only_letter("text")
    assert 900_000 < len(text) <= MEGABYTE


def test_a_gigabyte_in_a_folder_costs_no_memory(mailbox: Mailbox) -> None:
    """Sparse on disk, as an attachment of zeros would not be: but as large for whoever fetches it."""
    put(mailbox, letter(1))
    place = next((mailbox.server.mail_folder(mailbox.user)).rglob("cur"), None)
    assert place is not None
    name = mailbox.server.mail_folder(mailbox.user) / "cur" / "1795000000.M1P1.big,S=1073741824:2,"
    name.parent.mkdir(exist_ok=True)
    with name.open("wb") as file:
        file.write(b"Subject: huge\r\nContent-Type: application/octet-stream\r\n\r\n")
        file.truncate(1 << 30)
    owner = mailbox.server.mail_folder(mailbox.user).stat()
    os.chown(name, owner.st_uid, owner.st_gid)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mailbox.limits = type(mailbox.limits)(connect=5.0, greeting=10.0, command=120.0)
    mailbox.sync()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 50_000  # KB
    assert rows("SELECT count(*) FROM messages") == [(2,)]
    assert rows("SELECT size FROM letters WHERE subject = 'huge'")[0][0] > 1_000_000_000


def test_a_folder_of_every_character(mailbox: Mailbox) -> None:
    name = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in "/~*%&") + "&-&AOk-"
    client = mailbox.server.client(mailbox.user)
    client.create(quoted(name.encode()))
    client.logout()
    put(mailbox, letter(1), folder=quoted(name.encode()))
    mailbox.sync()
    assert mailbox.ours() == mailbox.theirs()
    assert rows("SELECT count(*) FROM messages") == [(1,)]


# One that the server cannot hand out.


def test_one_unreadable_message_holds_up_nobody(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server refuses any command that asks for it, as some do for mail that they cannot parse."""
    put(mailbox, *(letter(number) for number in range(1, 21)))
    refuse(monkeypatch, {7, 13})
    counts = mailbox.sync()
    assert (counts.added, counts.quarantined) == (18, 2)
    assert [one[0] for one in rows("SELECT uid FROM quarantined ORDER BY uid")] == [7, 13]
    assert "refused" in rows("SELECT reason FROM quarantined")[0][0]
    mailbox.sync()
    assert rows("SELECT count(*) FROM messages") == [(18,)]
    monkeypatch.undo()
    mailbox.sync(full=True)
    assert rows("SELECT count(*) FROM messages") == [(20,)]
    assert rows("SELECT count(*) FROM quarantined") == [(0,)]


def test_a_quarantined_message_that_is_deleted_is_forgotten(
    mailbox_on: Callable[[str], Mailbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = mailbox_on(MICROSOFT)
    put(mailbox, *(letter(number) for number in range(1, 4)))
    refuse(monkeypatch, {2})
    mailbox.sync()
    client = mailbox.server.client(mailbox.user)
    client.select("INBOX")
    client.uid("STORE", "2", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.logout()
    mailbox.sync()
    assert rows("SELECT count(*) FROM quarantined") == [(0,)]


def test_a_message_that_ends_the_connection_is_found_once_it_is_suspected(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(mailbox, *(letter(number) for number in range(1, 21)))
    refuse(monkeypatch, {7}, reason=Reason.CLOSED)
    with pytest.raises(ImapError):
        mailbox.sync()

    def suspect(run_: Run) -> None:
        run_.account.failures = arrivals.TRUSTED_FAILURES

    counts = mailbox.sync(suspect)
    assert (counts.added, counts.quarantined) == (19, 1)


def test_a_server_in_trouble_quarantines_nothing(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    put(mailbox, *(letter(number) for number in range(1, 4)))
    put(mailbox, letter(9), folder="Sent")
    refuse(monkeypatch, {2, 3}, code="SERVERBUG")
    assert mailbox.sync().added == 1, "the other folders go on"
    assert rows("SELECT count(*) FROM quarantined") == [(0,)]
    monkeypatch.undo()
    assert mailbox.sync().added == 3


def test_text_that_cannot_be_fetched_leaves_the_letter_without(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(mailbox, *(letter(number) for number in range(1, 11)))
    refuse(monkeypatch, {4}, module=texts)
    assert mailbox.sync().quarantined == 1
    assert rows("SELECT subject FROM letters WHERE NOT has_body") == [("Letter 4",)]
    monkeypatch.undo()
    mailbox.sync(full=True)
    assert rows("SELECT count(*) FROM letters WHERE NOT has_body") == [(0,)]


def refuse(
    monkeypatch: pytest.MonkeyPatch,
    bad: set[int],
    reason: Reason = Reason.REJECTED,
    code: str = "",
    module: Any = arrivals,
) -> None:
    """Stand before the real server, for these UIDs alone."""
    real = module.fetch

    def fetch(client: Any, uids: str, items: str, modifiers: str = "") -> Any:
        asked = {
            number
            for one in uids.split(",")
            for first, _, last in [one.partition(":")]
            for number in range(int(first), int(last or first) + 1)
        }
        if asked & bad and "BODY.PEEK" in items:
            if reason is Reason.CLOSED:
                client.protocol.wire.close()
            raise ImapError(reason, "the server refused FETCH: bad message", code)
        return real(client, uids, items, modifiers)

    monkeypatch.setattr(module, "fetch", fetch)


CORPUS = Path(os.__file__).parent / "test" / "test_email" / "data"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="this Python came without its tests")
def test_mail_that_third_parties_have_collected(mailbox: Mailbox) -> None:
    mails = [file.read_bytes() for file in sorted(CORPUS.glob("*.txt"))]
    put(mailbox, *mails)
    mailbox.sync()
    assert rows("SELECT count(*) FROM messages") == [(len(mails),)]
    assert rows("SELECT count(*) FROM quarantined") == [(0,)]
    assert rows("SELECT count(*) FROM letters WHERE NOT has_body") == [(0,)]
