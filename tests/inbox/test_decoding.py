"""Attachments' encodings undone on the fly, however they are broken: nothing raises, nothing piles up."""

from __future__ import annotations

import base64
import quopri
import random
from collections.abc import Iterator

import pytest

from services.inbox.download import AHEAD, decoded, read_ahead

DATA = random.Random(2).randbytes(30_000)
ENCODED = base64.encodebytes(DATA)


def cut(text: bytes, size: int) -> list[bytes]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100, 4_096, 100_000])
@pytest.mark.parametrize("junk", [b"!", b"\0", b"-\xff", b"\r\n\t "])
def test_what_is_no_base64_shifts_nothing(size: int, junk: bytes) -> None:
    text = ENCODED[:101] + junk + ENCODED[101:20_001] + junk + ENCODED[20_001:]
    assert b"".join(decoded("base64", cut(text, size))) == DATA


@pytest.mark.parametrize("left", range(1, 9))
def test_base64_that_was_cut_off_gives_what_there_is(left: int) -> None:
    text = base64.b64encode(DATA)[: 4_000 + left]
    found = b"".join(decoded("base64", cut(text, 333)))
    assert found == DATA[: len(found)] and len(found) == 3_000 + left * 6 // 8


def test_quoted_printable_without_line_ends_is_passed_on_as_it_comes() -> None:
    line = b"a=C3=BC  = b" * 50_000
    given = 0
    held = 0

    def chunks() -> list[bytes]:
        return cut(line, 10_001)

    found = []
    for piece in decoded("quoted-printable", chunks()):
        found.append(piece)
        given += len(piece)
        held = max(held, len(piece))
    assert b"".join(found) == quopri.decodestring(line)
    assert held < 100_000 < given


def told(sizes: list[int], ended: list[bool]) -> Iterator[bytes]:
    try:
        for size in sizes:
            yield b"x" * size
    finally:
        ended.append(True)


def test_a_large_download_that_is_given_up_hangs_up() -> None:
    ended: list[bool] = []
    chunks, size = read_ahead(told([AHEAD, 1, 1], ended))
    assert size is None and len(next(chunks)) == AHEAD and not ended
    chunks.close()  # type: ignore[attr-defined]
    assert ended == [True]


def test_one_that_nobody_begins_to_load_hangs_up() -> None:
    """As by a HEAD."""
    ended: list[bool] = []
    chunks, _ = read_ahead(told([AHEAD, 1, 1], ended))
    del chunks
    assert ended == [True]


def test_a_small_download_holds_nothing() -> None:
    ended: list[bool] = []
    chunks, size = read_ahead(told([AHEAD // 2, AHEAD // 2], ended))
    assert ended == [True]
    assert size == AHEAD == len(b"".join(chunks))
