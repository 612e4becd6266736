"""The server's answers as Python's values: atoms and strings are bytes, lists are lists, NIL is None (RFC 9051, 9).

One pass by one pattern, without recursion: what it reads was written by strangers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

Piece = (
    bytes | tuple[bytes, bytes]
)  # as imaplib has them: a line, or one that ends in {n} and the literal after it

_TOKEN = re.compile(
    rb"""\s*(?:
        (?P<open>\()
      | (?P<close>\))
      | "(?P<quoted>(?:[^"\\]|\\.)*)"
      | (?P<literal>~?\{\d+\+?\}$)
      | (?P<atom>(?:[^\s()"\[]*\[[^\]]*\][^\s()"]*)|[^\s()"]+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_DEEPEST = 200


def values(pieces: Iterable[Piece]) -> list[Any]:
    """All values of an answer, in order. ValueError when it is none."""
    stack: list[list[Any]] = [[]]
    for piece in pieces:
        text, literal = piece if isinstance(piece, tuple) else (piece, None)
        for kind, value in _tokens(text):
            if kind == "open":
                stack.append([])
                if len(stack) > _DEEPEST:
                    raise ValueError("the server's answer is nested too deeply")
            elif kind == "close":
                if len(stack) == 1:
                    raise ValueError("the server's answer has a ) too many")
                inner = stack.pop()
                stack[-1].append(inner)
            else:
                stack[-1].append(literal if kind == "literal" else value)
    if len(stack) > 1:
        raise ValueError("the server's answer lacks a )")
    return stack[0]


def _tokens(text: bytes) -> Iterator[tuple[str, bytes | None]]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"the server's answer cannot be read at {text[at : at + 40]!r}")
        at = found.end()
        kind = found.lastgroup or ""
        value: bytes | None = found[kind]
        if kind == "quoted" and b"\\" in found[kind]:
            value = _ESCAPED.sub(rb"\1", found[kind])
        elif kind == "atom" and found[kind].upper() == b"NIL":
            value = None
        yield kind, value


def items(data: Iterable[Piece | None]) -> Iterator[list[Piece]]:
    """The answers apart: one ends with the first piece that is no literal's."""
    item: list[Piece] = []
    for piece in data:
        if piece is None:
            continue
        item.append(piece)
        if not isinstance(piece, tuple):
            yield item
            item = []
    if item:
        yield item


def number_set(text: bytes) -> Iterator[range]:
    """`3:5,9` as ranges; the ends may come in either order."""
    for one in text.split(b","):
        first, _, last = one.partition(b":")
        low, high = sorted((int(first), int(last or first)))
        yield range(low, high + 1)


def compact(numbers: Iterable[int]) -> str:
    """The shortest `3:5,9` that names them."""
    told: list[str] = []
    first = last = 0
    for number in sorted(set(numbers)):
        if number == last + 1 and first:
            last = number
            continue
        if first:
            told.append(_told(first, last))
        first = last = number
    if first:
        told.append(_told(first, last))
    return ",".join(told)


def _told(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}:{last}"
