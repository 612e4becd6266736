"""The MIME builder against the `email` package: what goes in comes out, in every shape."""

from __future__ import annotations

import email
import email.policy
import os
import time
from collections.abc import Sequence
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import getaddresses
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from utils.addresses import Address, envelope
from utils.mime import Attachment, HeaderError, Mail, build, needs_smtputf8

UNHURRIED = settings(deadline=None)  # a busy machine may stall any example
ANN = Address("Ann", "ann@example.com")
BOB = Address("", "bob@example.org")

CHARS = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")


def made_of(pieces: list[str], others: st.SearchStrategy[str], most: int) -> st.SearchStrategy[str]:
    """Texts in which the awkward pieces are common: left alone, hypothesis rarely writes a line end."""
    return st.lists(st.sampled_from(pieces) | st.text(others, max_size=3), max_size=most).map("".join)


BODY = made_of(
    ["a", "b c", " ", ".", "=", "\r", "\n", "\r\n", "\t", "é", "🎉", "\x0c", "\x7f", "x" * 74], CHARS, 60
)
LONG_LINE = st.integers(900, 3_000).flatmap(lambda n: st.sampled_from(["x" * n, "é" * n, "a " * n, "." * n]))
# What a header may hold; the C1 controls and Unicode's own line ends included.
HEADER_CHARS = st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(32))))
AWKWARD = [*'?=_,;:"<>()@.', "\\", "=?", " ", "a", "bc d", "é", "€", "🎉", "ש"]
HEADER_TEXT = made_of([*AWKWARD, "\t", "  ", "x" * 40], HEADER_CHARS, 40)
NAME = made_of([*AWKWARD, "x" * 20], HEADER_CHARS, 12)
EMAIL = st.sampled_from(
    ["a@example.com", "b.c+d@xn--bcher-kva.example", "e'f@localhost", '"g h"@example.org']
)
UTF8_EMAIL = st.sampled_from(["ä@example.com", "用户@xn--r8jz45g.jp"])
ADDRESS = st.builds(Address, NAME, EMAIL)
FILENAME = made_of([*AWKWARD, "%", "'", ".pdf", "x" * 20], HEADER_CHARS, 12)
CONTENT_TYPES = st.sampled_from(
    ["text/plain", "text/html; charset=latin-1", "image/png", "application/x-a.b+c", "nonsense"]
)
CONTENT_ID = st.text("abcxyz0189.-_@$", min_size=1, max_size=40)
ATTACHMENT = st.builds(Attachment, FILENAME, CONTENT_TYPES, st.binary(max_size=200), st.none() | CONTENT_ID)
HEADER = st.tuples(
    st.sampled_from(["X-Campaign", "List-Unsubscribe", "In-Reply-To", "X-" + "n" * 74]), HEADER_TEXT
)


def mail(**changes: Any) -> Mail:
    fields: dict[str, Any] = {
        "sender": ANN,
        "to": [BOB],
        "cc": [],
        "reply_to": [],
        "subject": "Hello",
        "message_id": "<1.2@example.com>",
        "date": 1_700_000_000_123,
        "seed": "1.1700000000123",
        "text": "Hello\n",
        "html": None,
        "headers": [],
        "attachments": [],
    }
    return Mail(**{**fields, **changes})


def mails(addresses: st.SearchStrategy[Address] = ADDRESS) -> st.SearchStrategy[Mail]:
    return st.builds(
        mail,
        sender=addresses,
        to=st.lists(addresses, max_size=8),
        cc=st.lists(addresses, max_size=2),
        reply_to=st.lists(addresses, max_size=2),
        subject=HEADER_TEXT,
        text=st.none() | BODY | LONG_LINE,
        html=st.none() | BODY | LONG_LINE,
        headers=st.lists(HEADER, max_size=3),
        attachments=st.lists(ATTACHMENT, max_size=3),
    )


def parsed(data: bytes) -> EmailMessage:
    # A raw UTF-8 header reaches the parser of bytes as surrogates, which its address fields keep.
    message = email.message_from_string(data.decode(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def people(data: bytes, name: str) -> list[tuple[str, str]]:
    """By the older parser: some versions of the new one keep the space between two encoded words."""
    field = email.message_from_string(data.decode(), policy=email.policy.compat32)[name] or ""
    return [(str(make_header(decode_header(phrase))), spec) for phrase, spec in getaddresses([field]) if spec]


def lines_of(text: str) -> str:
    """A body as it must arrive: LF line ends, the last line ended."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if not text or text.endswith("\n") else text + "\n"


def body_text(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode().replace("\r\n", "\n")


def check_wire_format(data: bytes, utf8: bool) -> None:
    assert data.endswith(b"\r\n")
    assert data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n")
    assert max(map(len, data.split(b"\r\n"))) <= 998
    head, _, body = data.partition(b"\r\n\r\n")
    assert body.isascii()
    assert utf8 or head.isascii()


@UNHURRIED
@given(mails())
@example(mail(subject="=?utf-8?q?not_encoded?="))
@example(mail(subject=" " * 1_200 + "a"))
@example(mail(sender=Address("=?utf-8?q?not_encoded?=", "a@example.com")))
@example(mail(text="a \n" + "b" * 75 + " \nc"))
def test_headers_come_back(given_mail: Mail) -> None:
    data = build(given_mail)
    check_wire_format(data, utf8=False)
    check_headers(data, given_mail)


@UNHURRIED
@given(mails(st.builds(Address, NAME, UTF8_EMAIL | EMAIL)).filter(needs_smtputf8))
def test_headers_come_back_when_they_are_raw_utf8(given_mail: Mail) -> None:
    data = build(given_mail)
    check_wire_format(data, utf8=True)
    check_headers(data, given_mail)


def check_headers(data: bytes, given_mail: Mail) -> None:
    def expected(addresses: Sequence[Address]) -> list[tuple[str, str]]:
        return [(a.name.strip(), envelope(a.email, needs_smtputf8(given_mail))) for a in addresses]

    assert people(data, "From") == expected([given_mail.sender])
    assert people(data, "To") == expected(given_mail.to)
    assert people(data, "Cc") == expected(given_mail.cc)
    assert people(data, "Reply-To") == expected(given_mail.reply_to)
    message = parsed(data)
    assert message["Subject"] == given_mail.subject.strip(" \t")
    assert message["Message-ID"] == given_mail.message_id
    assert message["Date"].datetime.timestamp() == given_mail.date // 1000
    # Some versions keep the space of a value that begins on the second line.
    custom = [
        (name, str(value).lstrip(" ")) for name, value in message.items() if name in dict(given_mail.headers)
    ]
    assert custom == [(name, value.strip(" \t")) for name, value in given_mail.headers]


@UNHURRIED
@given(mails())
def test_bodies_and_attachments_come_back(given_mail: Mail) -> None:
    message = parsed(build(given_mail))
    leaves = [part for part in message.walk() if not part.is_multipart()]
    bodies = [part for part in leaves if part.get_content_disposition() is None]
    texts = [("text/plain", given_mail.text), ("text/html", given_mail.html)]
    present = [(kind, lines_of(text)) for kind, text in texts if text is not None] or [("text/plain", "")]
    assert [(part.get_content_type(), body_text(part)) for part in bodies] == present
    files = sorted(map(described, [part for part in leaves if part.get_content_disposition()]))
    assert files == sorted(map(wanted, given_mail.attachments))


def described(part: EmailMessage) -> tuple[str, str, bytes, str, str]:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert part["Content-Transfer-Encoding"] == "base64"
    disposition = part.get_content_disposition() or ""
    # Not get_filename(), which takes quotes off a name that really has them.
    filename = part["Content-Disposition"].params.get("filename", "")
    return (
        filename,
        part.get_content_type(),
        payload,
        part.get("Content-ID", ""),
        disposition,
    )


def wanted(attachment: Attachment) -> tuple[str, str, bytes, str, str]:
    kind = attachment.content_type.partition(";")[0]
    kind = kind if "/" in kind else "application/octet-stream"
    if attachment.content_id is None:
        return attachment.filename.strip(), kind, attachment.content, "", "attachment"
    return attachment.filename.strip(), kind, attachment.content, f"<{attachment.content_id}>", "inline"


@UNHURRIED
@given(mails())
def test_the_same_mail_gives_the_same_bytes(given_mail: Mail) -> None:
    assert build(given_mail) == build(given_mail)


def shape(part: Any) -> Any:
    if not part.is_multipart():
        return part.get_content_type()
    return part.get_content_subtype(), [shape(child) for child in part.get_payload()]


FILE = Attachment("a.pdf", "application/pdf", b"pdf")
IMAGE = Attachment("a.png", "image/png", b"png", "logo")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "text/plain"),
        ({"text": None}, "text/plain"),
        ({"text": None, "html": "x"}, "text/html"),
        ({"html": "x"}, ("alternative", ["text/plain", "text/html"])),
        ({"text": "", "html": "x"}, ("alternative", ["text/plain", "text/html"])),
        ({"attachments": [FILE]}, ("mixed", ["text/plain", "application/pdf"])),
        ({"attachments": [IMAGE]}, ("mixed", ["text/plain", "image/png"])),
        ({"text": None, "html": "x", "attachments": [IMAGE]}, ("related", ["text/html", "image/png"])),
        (
            {"html": "x", "attachments": [FILE, IMAGE]},
            (
                "mixed",
                [("alternative", ["text/plain", ("related", ["text/html", "image/png"])]), "application/pdf"],
            ),
        ),
    ],
)
def test_the_shape_of(changes: dict[str, Any], expected: Any) -> None:
    assert shape(parsed(build(mail(**changes)))) == expected


def test_a_mail_without_any_visible_recipient_names_none() -> None:
    data = build(mail(to=[]))
    assert b"\r\nTo: undisclosed-recipients:;\r\n" in data
    assert b"undisclosed" not in build(mail(to=[], cc=[BOB]))
    assert b"\r\nTo:" not in build(mail(to=[], cc=[BOB]))


def test_a_text_that_holds_the_boundary_stays_whole() -> None:
    first = parsed(build(mail(html="x"))).get_boundary()
    assert first
    text = f"a\n--{first}\nb\n--{first}--\n"
    message = parsed(build(mail(text=text, html="x")))
    assert message.get_boundary() != first
    assert body_text(next(message.iter_parts())) == text


def test_another_seed_gives_another_boundary() -> None:
    assert (
        parsed(build(mail(html="x"))).get_boundary() != parsed(build(mail(html="x", seed="2"))).get_boundary()
    )


def test_a_leading_dot_is_left_to_the_transport() -> None:
    assert build(mail(text=".\n..a\n.b")).endswith(b"\r\n\r\n.\r\n..a\r\n.b\r\n")


def test_25_megabytes_take_well_under_a_second() -> None:
    content = os.urandom(25 * 1024 * 1024)
    started = time.process_time()
    data = build(mail(attachments=[Attachment("a.bin", "application/zip", content)]))
    taken = time.process_time() - started
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    [part] = message.iter_attachments()
    assert part.get_payload(decode=True) == content
    assert taken < 2  # 0.2 s; the rest is for a busy machine under coverage


@pytest.mark.parametrize("bad", ["\r\nBcc: x@y.z", "\nX: y", "\r", "\x00", "\x0b", "\x1b[2J", "\ud800"])
@pytest.mark.parametrize(
    "changes",
    [
        lambda bad: {"subject": f"a{bad}"},
        lambda bad: {"sender": Address(f"a{bad}", "a@example.com")},
        lambda bad: {"sender": Address("a", f"a@example.com{bad}")},
        lambda bad: {"to": [Address(f"a{bad}", "a@example.com")]},
        lambda bad: {"cc": [Address("", f"a{bad}@example.com")]},
        lambda bad: {"reply_to": [Address("", f"ä{bad}@example.com")]},
        lambda bad: {"message_id": f"<a{bad}@example.com>"},
        lambda bad: {"headers": [("X-A", f"a{bad}")]},
        lambda bad: {"headers": [(f"X-A{bad}", "a")]},
        lambda bad: {"attachments": [Attachment(f"a{bad}", "text/plain", b"")]},
        lambda bad: {"attachments": [Attachment("a", "text/plain", b"", f"a{bad}")]},
    ],
)
def test_injection_is_refused(changes: Any, bad: str) -> None:
    with pytest.raises(HeaderError):
        build(mail(**changes(bad)))


def test_injection_by_a_content_type_is_dropped() -> None:
    data = build(mail(attachments=[Attachment("a", "text/plain\r\nX-Evil: 1", b"")]))
    assert b"X-Evil" not in data
    assert b"Content-Type: application/octet-stream\r\n" in data


def test_a_broken_character_in_a_body_is_refused() -> None:
    with pytest.raises(HeaderError, match="broken character"):
        build(mail(text="a\ud800"))
