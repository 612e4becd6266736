"""Header fields: which may be set, how they are encoded, and where they fold."""

from __future__ import annotations

import pytest

from utils.addresses import Address
from utils.mime_headers import (
    HeaderError,
    address_list,
    check_content_id,
    check_header,
    content_type,
    disposition,
    message_id,
    unstructured,
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Campaign", "spring"),
        ("List-Unsubscribe", "<https://example.com/u>, <mailto:u@example.com>"),
        ("x!#$%&'*+.^_`|~-9", "a\tb"),
        ("X-Name", "Änn 🎉"),
        ("X" * 76, "x" * 10_000),
        ("X-Empty", ""),
    ],
)
def test_a_sender_may_set(name: str, value: str) -> None:
    check_header(name, value)


@pytest.mark.parametrize("name", ["", "X Y", "X:", "X\n", "Ä", "X" * 77, "X\x7f", "X\x00"])
def test_a_wrong_name_is_refused(name: str) -> None:
    with pytest.raises(HeaderError, match="not a header name"):
        check_header(name, "a")


@pytest.mark.parametrize(
    "name",
    """From sender TO Cc bcc Reply-To SUBJECT Date Message-ID Mime-Version Content-Type content-anything
    DKIM-Signature Return-Path Received Resent-To ARC-Seal Authentication-Results Delivered-To""".split(),
)
def test_a_header_of_the_relay_is_refused(name: str) -> None:
    with pytest.raises(HeaderError, match="may not be set"):
        check_header(name, "a")


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\x00b", "\x1b", "\udc80", "x" * 10_001])
def test_a_wrong_value_is_refused(value: str) -> None:
    with pytest.raises(HeaderError, match="the header X-A"):
        check_header("X-A", value)


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("Subject", "Hello", "Subject: Hello"),
        ("Subject", "", "Subject:"),
        ("Subject", "Grüße", "Subject: =?utf-8?b?R3LDvMOfZQ==?="),
        ("Subject", "Your café receipt", "Subject: =?utf-8?q?Your_caf=C3=A9_receipt?="),
        ("Subject", "🎉🎉", "Subject: =?utf-8?b?8J+OifCfjok=?="),
        ("Subject", "שלום", "Subject: =?utf-8?b?16nXnNeV150=?="),
        ("Subject", "=?utf-8?q?x?=", "Subject: =?utf-8?b?PT91dGYtOD9xP3g/PQ==?="),
        ("Subject", "a " * 45, "Subject: " + "a " * 34 + "a\r\n " + "a " * 9 + "a"),
        ("X-A", "x" * 500, "X-A: " + "x" * 500),
        ("X-" + "n" * 74, "é", "X-" + "n" * 74 + ":\r\n =?utf-8?b?w6k=?="),
    ],
)
def test_a_value_becomes(name: str, value: str, field: str) -> None:
    assert unstructured(name, value, utf8=False) == field


def test_a_value_is_raw_where_headers_are_utf8() -> None:
    assert unstructured("Subject", "Grüße", utf8=True) == "Subject: Grüße"
    assert unstructured("Subject", "a\u2028b", utf8=True) == "Subject: =?utf-8?b?YeKAqGI=?="
    assert unstructured("Subject", "é" * 1_000, utf8=True).startswith("Subject: =?utf-8?b?")


def test_no_line_with_an_encoded_word_is_longer_than_76() -> None:
    for text in ("é" * 300, "🎉" * 300, "aé " * 300, "abcdefghij é" * 30):
        for name in ("Subject", "X-" + "n" * 40, "X-" + "n" * 74):
            lines = unstructured(name, text, utf8=False).split("\r\n")
            assert max(map(len, lines)) <= max(76, len(name) + 1)
            assert all(line.startswith(" =?utf-8?") for line in lines[1:])


@pytest.mark.parametrize(
    ("name", "mailbox"),
    [
        ("", "a@example.com"),
        ("Ann Lee", "Ann Lee <a@example.com>"),
        ("Ann, B.", '"Ann, B." <a@example.com>'),
        ('A "B" \\C', r'"A \"B\" \\C" <a@example.com>'),
        ("Änn", "=?utf-8?q?=C3=84nn?= <a@example.com>"),
        ("=?x?=", "=?utf-8?b?PT94Pz0=?= <a@example.com>"),
    ],
)
def test_a_mailbox_becomes(name: str, mailbox: str) -> None:
    assert address_list("To", [Address(name, "a@example.com")], utf8=False) == f"To: {mailbox}"


def test_a_long_list_folds_between_addresses() -> None:
    field = address_list("To", [Address("", f"someone{i}@example.com") for i in range(50)], utf8=False)
    lines = field.split("\r\n")
    assert len(lines) > 10
    assert max(map(len, lines)) <= 78
    assert all(line.endswith(",") for line in lines[:-1])


@pytest.mark.parametrize(
    "email",
    [
        "",
        "a",
        "a@",
        "a b@c.example",
        "a@b.example>",
        "<a@b.example",
        "a@b.example, c@d.example",
        "a@b_c.example",
    ],
)
def test_a_mailbox_that_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(HeaderError):
        address_list("To", [Address("", email)], utf8=False)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("image/png", "image/png"),
        ("text/calendar; method=REQUEST; charset=utf-8", "text/calendar; method=REQUEST; charset=utf-8"),
        ('text/plain;format="flowed x"', 'text/plain;format="flowed x"'),
        ("", "application/octet-stream"),
        ("image", "application/octet-stream"),
        ("image/png/x", "application/octet-stream"),
        ("image/png; x", "application/octet-stream"),
        ("imäge/png", "application/octet-stream"),
        ("text/plain; x=" + "y" * 300, "application/octet-stream"),
        ("message/rfc822", "application/octet-stream"),
        ("Multipart/mixed; boundary=x", "application/octet-stream"),
    ],
)
def test_a_content_type_becomes(given: str, field: str) -> None:
    assert content_type(given) == f"Content-Type: {field}"


@pytest.mark.parametrize(
    ("filename", "parameters"),
    [
        ("", ""),
        ("a b.pdf", ';\r\n filename="a b.pdf"'),
        ("Größe.pdf", ";\r\n filename*=utf-8''Gr%C3%B6%C3%9Fe.pdf;\r\n filename=\"Gr__e.pdf\""),
        ('a"b\\.pdf', ";\r\n filename*=utf-8''a%22b%5C.pdf;\r\n filename=\"a_b_.pdf\""),
    ],
)
def test_a_file_name_becomes(filename: str, parameters: str) -> None:
    assert disposition("attachment", filename) == f"Content-Disposition: attachment{parameters}"


def test_a_long_file_name_is_continued_without_splitting_an_escape() -> None:
    lines = disposition("attachment", "é" * 100 + ".pdf").split("\r\n")
    assert max(map(len, lines)) <= 78
    assert lines[1].startswith(" filename*0*=utf-8''%C3")
    assert lines[2].startswith(" filename*1*=%")
    assert lines[-1].endswith('.pdf"')


@pytest.mark.parametrize("value", ["", "a@b", "<a b@c>", "<a@b>\n", "<ä@b>", "<<a@b>>"])
def test_a_wrong_message_id_is_refused(value: str) -> None:
    with pytest.raises(HeaderError):
        message_id(value)


@pytest.mark.parametrize("value", ["", "a b", "<a>", "ä", "a\n", "x" * 256])
def test_a_wrong_content_id_is_refused(value: str) -> None:
    with pytest.raises(HeaderError):
        check_content_id(value)
    check_content_id("logo.1@example")
