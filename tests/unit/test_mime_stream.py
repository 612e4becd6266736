"""Taking a message apart as it comes: the parts that the standard library finds in the whole of it."""

from __future__ import annotations

import email
import random
import time
import tracemalloc
from collections.abc import Iterator
from email.message import Message

import pytest

from tests.support import corpora
from utils.mime_stream import Begin, events

B = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
LONG = b"b" * 300
INNER = b"X: y\r\n\r\nz"

Parts = list[tuple[str, str, bytes]]  # section, type, content

MIXED = (
    b"Content-Type: multipart/mixed; boundary=out\r\n\r\npreamble\r\n--out\r\n"
    b"Content-Type: multipart/related; boundary=in\r\n\r\n"
    b"--in\r\nContent-Type: text/html\r\n\r\n<p>\r\n--inn\r\n-- \r\n--\r\n--in--more\r\n--in \t\r\n"
    b"Content-Type: image/png\r\n\r\n\r\n--in--\r\nepilogue\r\n--out\r\n"
    b"\r\nplain\nlines\r\n\r\n--out--\r\nend\r\n--out\r\n"
)


def blocks(raw: bytes, size: int) -> Iterator[bytes]:
    return (raw[at : at + size] for at in range(0, len(raw), size))


def ours(raw: bytes, size: int = 1 << 18, most: int = 1_000) -> Parts:
    found: list[list[bytes]] = []
    named: list[tuple[str, str]] = []
    for event in events(blocks(raw, size), most):
        if isinstance(event, Begin):
            found.append([])
            named.append(("" if event.has_parts else event.section or "1", event.header.get_content_type()))
        else:
            found[-1].append(event)
    return [(*name, b"".join(data)) for name, data in zip(named, found, strict=True) if name[0]]


def theirs(raw: bytes) -> Parts:
    return list(_leaves(email.message_from_bytes(raw), ""))


def _leaves(part: Message, section: str) -> Iterator[tuple[str, str, bytes]]:
    children, kind = part.get_payload(), part.get_content_type()
    if kind.startswith("multipart/") and isinstance(children, list):
        for number, child in enumerate(children, 1):
            assert isinstance(child, Message)
            yield from _leaves(child, f"{section}.{number}".lstrip("."))
        return
    text = children if isinstance(children, str) else ""
    yield section or "1", kind, text.encode("ascii", "surrogateescape")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1_000])
def test_delimiters_are_found_wherever_the_blocks_are_cut(size: int) -> None:
    assert ours(MIXED, size) == [
        ("1.1", "text/html", b"<p>\r\n--inn\r\n-- \r\n--\r\n--in--more"),
        ("1.2", "image/png", b""),
        ("2", "text/plain", b"plain\nlines\r\n"),
    ]


# A boundary that is used twice within itself, and delimiters in a row: here each delimits, as IMAP servers have it.
OTHERWISE = ("cpython/msg_15.txt", "cpython/msg_37.txt", "cpython/msg_39.txt")


def test_other_people_s_mail_has_the_parts_that_the_standard_library_finds() -> None:
    compared = 0
    for name, raw in corpora.of_python():
        if name in OTHERWISE:
            continue
        expected = theirs(raw)
        found = ours(raw, random.Random(name).randint(1, 400))
        assert [one[:2] for one in found] == [one[:2] for one in expected], name
        for (section, kind, data), (_, _, wanted) in zip(found, expected, strict=True):
            if not kind.startswith(("message/", "multipart/")):  # which it takes apart, or keeps as it likes
                assert data.replace(b"\r\n", b"\n") == wanted.replace(b"\r\n", b"\n"), (name, section)
                compared += 1
    assert compared > 60


@pytest.mark.parametrize("seed", range(30))
def test_damage_changes_nothing_by_where_it_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    raw = bytearray(MIXED * 2)
    for _ in range(12):
        at = chance.randrange(len(raw))
        raw[at : at + chance.randrange(4)] = chance.choice(
            [b"", b"\r", b"\n", b"--out", b"\r\n--in", b"\xff", b"\0"]
        )
    whole = ours(bytes(raw))
    for size in (1, 2, 3, 11, 64):
        assert ours(bytes(raw), size) == whole


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"", [("1", "text/plain", b"")]),
        (b"no header here\r\n", [("1", "text/plain", b"no header here\r\n")]),
        (b"Subject: x", [("1", "text/plain", b"")]),
        (b"Content-Type: multipart/mixed\r\n\r\nx", [("1", "multipart/mixed", b"x")]),
        (B + b"x", [("1", "multipart/mixed", b"x")]),
        (B + b"x\r\n--b", [("1", "text/plain", b"")]),
        (B + b"--b\r\nX: y\r\n--b\r\n\r\nz", [("1", "text/plain", b""), ("2", "text/plain", b"z")]),
        (B.replace(b"mixed", b"digest") + b"--b\r\n\r\n" + INNER + b"\r\n--b--", [("1", "message/rfc822", INNER)]),
        (B.replace(b"=b", b"=" + LONG) + b"--" + LONG, [("1", "multipart/mixed", b"--" + LONG)]),
    ],
)  # fmt: skip
def test_what_is_missing_is_no_error(raw: bytes, found: Parts) -> None:
    for size in (1, 1_000):
        assert ours(raw, size) == found


def test_a_million_parts_are_not_taken_apart() -> None:
    raw = B + b"--b\r\n" * 1_000_000
    began = time.monotonic()
    found = ours(raw)
    assert len(found) == 999  # and what holds them
    assert len(found[-1][2]) > 4_000_000
    assert time.monotonic() - began < 10


def test_neither_a_long_line_nor_a_long_header_nor_many_parts_in_each_other_fill_the_memory() -> None:
    def endless() -> Iterator[bytes]:
        yield b"Subject: "
        yield from [b"x" * 65_536] * 400
        for depth in range(500):
            yield b"\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d" % (depth, depth)
        yield b"\r\n\r\n"
        yield from [b"y" * 65_536] * 400

    tracemalloc.start()
    size = sum(len(one) for one in events(endless(), 1_000) if isinstance(one, bytes))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 65_536 * 400
    assert peak < 8_000_000
