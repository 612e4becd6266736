"""Letters as sync hands them over, made from raw messages: headers, text, and the parts of a report."""

from __future__ import annotations

import email
from email.message import Message

from models.account import Account
from models.database import write
from models.inbox import Letter
from services import reports
from services.relay import Relay
from services.sync.bodies import report_parts
from services.sync.headers import read_headers
from services.sync.run import Looked
from services.sync.structure import Leaf
from utils.clock import now_ms
from utils.html_text import html_to_text

ACCOUNT = "account-1"
RETURN = "relay@sender.test"  # where bounces of tests.support.relay's configs go


def account(tenant: str = "", address: str = RETURN, id_: str = ACCOUNT) -> None:
    now = now_ms()
    write(
        lambda: Account.create(
            id=id_, tenant=tenant, user="u", name="Bounces", email_address=address, hostname="h", port=1,
            username="u", credential_id="c", created_at=now, updated_at=now,
        )
    )  # fmt: skip


def stored(raw: bytes, account_id: str = ACCOUNT) -> Looked:
    """In the database, as sync would have stored it."""
    headers, text, parts = taken_apart(raw)
    told = read_headers(headers)
    now = now_ms()
    letter = write(
        lambda: Letter.create(
            account_id=account_id, message_id=told.message_id, subject=told.subject, received_at=now,
            has_body=True, text=text, headers=told.raw, created_at=now,
        )
    )  # fmt: skip
    return Looked(letter.id, tuple(parts))


def taken_apart(raw: bytes) -> tuple[bytes, str, list[tuple[str, bytes]]]:
    head = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0].replace(b"\n", b"\r\n")
    found = list(_leaves(email.message_from_bytes(raw)))
    wanted = {
        one.section
        for one in report_parts([Leaf(str(at), kind, "", len(data)) for at, (kind, data) in enumerate(found)])
    }
    parts = [one for at, one in enumerate(found) if str(at) in wanted]
    texts = [data.decode("utf-8", "replace") for kind, data in found if kind == "text/plain"]
    if not any(one.strip() for one in texts):
        texts = [html_to_text(data.decode("utf-8", "replace")) for kind, data in found if kind == "text/html"]
    return head + b"\r\n", "\n".join(texts).replace("\r\n", "\n").replace("\0", ""), parts


def _leaves(message: Message):
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for child in message.get_payload():
            yield from _leaves(child)
    elif message.is_multipart():  # a message, or the blocks of a delivery status
        yield message.get_content_type(), b"\n\n".join(_inner(one) for one in message.get_payload())
    else:
        data = message.get_payload(decode=True)
        yield message.get_content_type(), data if isinstance(data, bytes) else b""


def _inner(message: Message) -> bytes:
    return message.as_bytes().strip(b"\n")


def look(relay: Relay, raw: bytes, account_id: str = ACCOUNT) -> int:
    """Store a letter and look at it; its id."""
    looked = stored(raw, account_id)
    write(lambda: reports.look_at(relay, [looked], now_ms()))
    return looked.letter_id


def dsn(
    message_id: str, recipient: str, *, action: str = "failed", status: str = "5.1.1",
    diagnostic: str = "550 5.1.1 <x>: Recipient address rejected: User unknown", original: str = "", to: str = RETURN,
    per_message: str = "", kind: str = "delivery-status", own_id: str = "<report-1@mx.test>",
) -> bytes:  # fmt: skip
    lines = [f"Original-Recipient: rfc822;{original}"] if original else []
    if recipient:
        lines.append(recipient if ":" in recipient else f"Final-Recipient: rfc822; {recipient}")
    lines += [f"Action: {action}", f"Status: {status}", f"Diagnostic-Code: smtp; {diagnostic}"]
    fields = "\n".join(lines)
    return f"""\
Return-Path: <>
From: MAILER-DAEMON@mx.test (Mail Delivery System)
To: {to}
Subject: Undelivered Mail Returned to Sender
Message-ID: {own_id}
MIME-Version: 1.0
Content-Type: multipart/report; report-type={kind}; boundary="b1"

--b1
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.test. I'm sorry to have to inform you.

--b1
Content-Type: message/{kind}

Reporting-MTA: dns; mx.test
{per_message}
Arrival-Date: Wed, 25 Nov 2026 05:00:00 +0000

{fields}

--b1
Content-Type: message/rfc822

From: relay@sender.test
To: somebody@example.com
Subject: Hello
Message-ID: {message_id}

Hello
--b1--
""".replace("dns; mx.test\n\n", "dns; mx.test\n").encode()


def complaint(message_id: str, recipient: str, kind: str = "abuse", to: str = "ann@example.com") -> bytes:
    named = f"Original-Rcpt-To: <{recipient}>\n" if recipient else ""
    return f"""\
From: feedback@isp.test
To: {RETURN}
Subject: FW: Hello
Message-ID: <arf-1@isp.test>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b1"

--b1
Content-Type: text/plain

This is an email abuse report.

--b1
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
Original-Mail-From: <relay@sender.test>
{named}
--b1
Content-Type: message/rfc822

From: relay@sender.test
To: {to}
Message-ID: {message_id}

Hello
--b1--
""".encode()


def answer(message_id: str, sender: str = "ann@example.com", **headers: str) -> bytes:
    lines = {
        "From": f"Ann <{sender}>", "To": RETURN, "Subject": "Re: Hello", "Message-ID": "<answer-1@example.com>",
        "In-Reply-To": message_id,
    } | {name.replace("_", "-"): value for name, value in headers.items()}  # fmt: skip
    return ("".join(f"{name}: {value}\n" for name, value in lines.items() if value) + "\nThanks!\n").encode()
