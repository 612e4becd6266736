"""Transfer encodings: every text comes back, on lines that every server takes."""

from __future__ import annotations

import base64
import email.header
import quopri

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from utils.mime_encodings import base64_lines, encode_text, encoded_words, quoted_printable

UNHURRIED = settings(deadline=None)  # a busy machine may stall any example
# Pieces rather than characters: left alone, hypothesis writes a line end once in a hundred texts.
PIECE = st.sampled_from(
    ["a", "bc ", " ", ".", "=", "\t", "\n", "\r", "\r\n", "~", "é", "🎉", "\x00", "x" * 74]
)
TEXT = st.lists(PIECE | st.text(max_size=3)).map("".join)
WORD_TEXT = st.text(st.sampled_from("ab ?=_é€🎉") | st.characters(exclude_categories=["Cs"]), min_size=1)


def decoded(encoding: str, body: bytes) -> str:
    if encoding == "quoted-printable":
        body = quopri.decodestring(body)
    elif encoding == "base64":
        body = base64.b64decode(body)
    return body.decode()


@UNHURRIED
@given(TEXT)
@example("x" * 998)
@example("x" * 999)
@example("é" * 2_000)
@example("a" * 75 + " ")
def test_a_text_comes_back_with_its_line_ends_made_crlf(text: str) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    if lines and not lines.endswith("\n"):
        lines += "\n"
    encoding, body = encode_text(text)
    assert decoded(encoding, body) == lines.replace("\n", "\r\n")
    assert body.isascii()
    assert max(map(len, body.split(b"\r\n"))) <= (998 if encoding == "7bit" else 76)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("", "7bit"),
        ("plain\ttext\n" * 500, "7bit"),
        ("x" * 998, "7bit"),
        ("x" * 999, "quoted-printable"),
        ("a form feed \x0c", "quoted-printable"),
        ("a café in town, and more", "quoted-printable"),
        ("текст письма", "base64"),
        ("你好" * 50, "base64"),
    ],
)
def test_the_encoding_of(text: str, encoding: str) -> None:
    assert encode_text(text)[0] == encoding


@UNHURRIED
@given(st.binary(max_size=400).map(lambda raw: raw.replace(b"\r", b"")))
@example(b"a" * 75 + b" \n")
@example(b"a" * 74 + b"\t\n" + b"b" * 76)
def test_quoted_printable_comes_back_on_lines_of_76(raw: bytes) -> None:
    encoded = quoted_printable(raw)
    assert quopri.decodestring(encoded.replace(b"\r\n", b"\n")) == raw
    for line in encoded.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.endswith((b" ", b"\t"))


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 57 * 16_384, 57 * 16_384 + 1, 2_000_000])
def test_base64_comes_back_on_lines_of_76(size: int) -> None:
    raw = bytes(i % 251 for i in range(size))
    lines = base64_lines(raw).split(b"\r\n")
    assert base64.b64decode(b"".join(lines)) == raw
    assert {len(line) for line in lines[:-1]} <= {76}
    assert len(lines[-1]) <= 76


@UNHURRIED
@given(WORD_TEXT, st.integers(30, 75))
def test_encoded_words_come_back_and_split_no_character(text: str, first: int) -> None:
    words = encoded_words(text, first)
    assert len(words[0]) <= first
    assert max(map(len, words)) <= 75
    # Each word by itself must decode: a split character would not.
    assert "".join(str(email.header.make_header(email.header.decode_header(word))) for word in words) == text


def test_the_shorter_of_q_and_b_is_taken() -> None:
    assert encoded_words("Your café") == ["=?utf-8?q?Your_caf=C3=A9?="]
    assert encoded_words("ééé") == ["=?utf-8?b?w6nDqcOp?="]
