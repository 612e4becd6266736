from __future__ import annotations

from email.header import Header, decode_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils import mail_reader
from utils.mail_reader import decoded, header_of, read_mail

SNIPPETS = [
    b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Type: text/html; charset=nonesuch\r\n",
    b"Content-Type: message/rfc822\r\n", b"Content-Transfer-Encoding: base64\r\n", b"\r\n", b"--b\r\n", b"--b--\r\n",
    b"Content-Disposition: attachment; filename*=utf-8''%FF%\r\n", b"Content-Type: text/plain; charset*=x''%80\r\n",
    b"Subject: =?utf-8?b?!!!?= =?x?q?=ZZ?=\r\n", b"From: \xff\xfe\r\n", b"=====", b"begin 644 x\r\n",
    b"Content-Transfer-Encoding: uuencode\r\n", b"Content-ID: <\xe9>\r\n",
]  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(SNIPPETS), st.binary(max_size=30)), max_size=25).map(b"".join))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    found = read_mail(data)
    assert set(found) >= {"subject", "from", "to", "headers", "html", "text", "attachments"}
    for text in (found["subject"], found["text"], found["html"], *[value for _, value in found["headers"]]):
        (text or "").encode()  # no lone surrogate that JSON or a page would choke on
    for name in ("Subject", "Message-ID"):
        header_of(data, name).encode()


def test_multiparts_nested_too_deep_still_show_their_headers() -> None:
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(2000)
    )
    assert read_mail(b"Subject: deep\r\n" + deep)["subject"] == "deep"


def test_encoded_words_that_never_end_are_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []

    def noting(value: str) -> list[tuple[str | bytes, str | None]]:
        looked_at.append(value)
        return decode_header(value)

    monkeypatch.setattr(mail_reader, "decode_header", noting)
    endless = "=?a?b?a" * 9_000
    assert decoded(endless) == endless
    assert decoded(f"a =?utf-8?q?=C3=BC?= {endless}") == f"a ü {endless}"
    assert looked_at == ["a =?utf-8?q?=C3=BC?="]


@given(st.text(st.characters(categories=["L", "N", "S"]), min_size=1, max_size=80))
def test_encoded_subjects_come_back(text: str) -> None:
    raw = (
        b"To: x@y.example\r\nSubject: "
        + Header(text, "utf-8").encode().replace("\n", "\r\n").encode()
        + b"\r\n\r\n"
    )
    assert header_of(raw, "subject") == text
    assert read_mail(raw)["subject"] == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"Subject: two\r\n lines\r\n\r\n", "two lines"),
        (b"X: 1\nsubject:bare\n\nSubject: body", "bare"),
        (b"X: 1\r\n\r\nSubject: in the body\r\n", ""),
        ("Subject: räw ütf-8\r\n\r\n".encode(), "räw ütf-8"),
        (b"", ""),
    ],
)
def test_a_header_is_read_from_the_head_alone(raw: bytes, text: str) -> None:
    assert header_of(raw, "Subject") == text


def test_an_unknown_charset_is_read_as_well_as_can_be() -> None:
    assert decoded("=?nonesuch?q?ab?= c") == "ab c"


def test_a_forwarded_message_is_one_attachment() -> None:
    found = read_mail(b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nHello\r\n")
    assert found["text"] is None and found["attachments"][0]["content_type"] == "message/rfc822"
    assert found["attachments"][0]["size"] > 0
