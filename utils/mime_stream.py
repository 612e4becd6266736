"""A message taken apart while it comes (RFC 2046, 5.1), however large: nothing of it is kept but a few lines.

Lenient where mail is: a part may have no header, a delimiter may be missing, lines may end in LF alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser

LONGEST_HEADER = 65_536  # bytes of one; the rest is passed over
LONGEST_BOUNDARY = 250  # RFC 2046 allows 70; nothing is delimited by a longer one
DEEPEST = 100  # multiparts within each other
_LONGEST_LINE = 65_536  # a longer one comes in pieces
_BEGUN = (b"\r\n-", b"\n-", b"\r\n", b"\n", b"\r")  # how what we have may end, and a delimiter follow
_HEADER = re.compile(rb"From |[!-9;-~]+[ \t]*:|[ \t]")

Boundaries = tuple[bytes, ...]  # of the multiparts that we are in, the outermost first


@dataclass(frozen=True, slots=True)
class Begin:
    """A part: the message itself first. `section`: as in IMAP, "" for the message. What comes until the next one is its
    content, as encoded; one that has parts has none. `related`: it is within multipart/related."""

    section: str
    raw_header: bytes
    header: Message
    has_parts: bool
    related: bool


def events(blocks: Iterable[bytes], most: int) -> Iterator[Begin | bytes]:
    """Of each part its beginning, then its content in blocks. What would be more than `most` parts is content."""
    return _Walk(blocks, most).part("", (), "text/plain", related=False)


class _Walk:
    def __init__(self, blocks: Iterable[bytes], most: int) -> None:
        self._lines = _Lines(blocks)
        self._left = most

    def part(
        self, section: str, within: Boundaries, default: str, *, related: bool
    ) -> Iterator[Begin | bytes]:
        lines = self._lines
        self._left -= 1
        if self._left <= 0:
            within = ()  # nothing ends the last
        raw = lines.header(within)
        header = _parsed(raw, default)
        boundary = _boundary(header) if len(within) < DEEPEST and self._left > 0 else b""
        before = _first(lines.until((*within, boundary))) if boundary else b""
        has_parts = bool(boundary) and lines.at == (boundary, False)
        yield Begin(section, raw, header, has_parts, related)
        if has_parts:
            yield from self._children(section, header, (*within, boundary), related)
        elif before:
            yield before
        if not boundary:
            yield from lines.until(within)
        elif lines.at == (boundary, True):
            _first(lines.after(within))

    def _children(
        self, section: str, header: Message, within: Boundaries, related: bool
    ) -> Iterator[Begin | bytes]:
        kind = header.get_content_type()
        default = "message/rfc822" if kind == "multipart/digest" else "text/plain"
        related = related or kind == "multipart/related"
        number = 0
        while self._lines.at == (within[-1], False):
            number += 1
            inner = f"{section}.{number}" if section else str(number)
            yield from self.part(inner, within, default, related=related)


class _Lines:
    """`at`: the delimiter that was met last, and whether it was the closing one; None at the end of the message."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._rest = b""
        self._ended = False
        self.at: tuple[bytes, bool] | None = None

    def header(self, within: Boundaries) -> bytes:
        """Up to the empty line, a delimiter (then there is no content), or what is no header."""
        self.at = None
        kept = bytearray()
        whole = True  # the last piece ended its line
        while line := self._line():
            if whole:
                self.at = _delimiter(line, within)
                if self.at is not None or line in (b"\n", b"\r\n"):
                    break
                if not _HEADER.match(line):
                    self._rest = line + self._rest
                    break
            whole = line.endswith(b"\n")
            kept += line[: LONGEST_HEADER - len(kept)]
        return bytes(kept)

    def until(self, within: Boundaries) -> Iterator[bytes]:
        """What is before the next delimiter, which is taken; the line end before that is its own."""
        if self.at is None and within:
            line = self._line()
            self.at = _delimiter(line, within)
            if self.at is None:
                self._rest = line + self._rest
        while self.at is None and (self._rest or self._fill()):
            if content := self._content(within):
                yield content
            elif self.at is None:
                self._fill()

    def after(self, within: Boundaries) -> Iterator[bytes]:
        """The same after a closing delimiter."""
        self.at = None
        return self.until(within)

    def _content(self, within: Boundaries) -> bytes:
        """Of what we have, all that surely is content."""
        rest, start = self._rest, -1
        while within and (start := rest.find(b"\n--", start + 1)) >= 0:
            end = rest.find(b"\n", start + 1)
            if end < 0 and not self._ended and len(rest) - start < 2 * LONGEST_BOUNDARY:
                return self._take(_line_end(rest, start))
            stop = end if end >= 0 else len(rest)
            self.at = _delimiter(rest[start + 1 : stop], within)
            if self.at is not None:
                return self._take(_line_end(rest, start), stop + 1)
        begun = 0 if self._ended or not within else next(map(len, filter(rest.endswith, _BEGUN)), 0)
        return self._take(len(rest) - begun)

    def _take(self, size: int, rest: int | None = None) -> bytes:
        taken = self._rest[:size]
        self._rest = self._rest[size if rest is None else rest :]
        return taken

    def _line(self) -> bytes:
        """Empty at the end of the message. One that is too long comes in pieces."""
        while (end := self._rest.find(b"\n")) < 0 and len(self._rest) < _LONGEST_LINE and self._fill():
            pass
        return self._take(min(end + 1 if end >= 0 else len(self._rest), _LONGEST_LINE))

    def _fill(self) -> bool:
        block = next(self._blocks, None)
        self._ended = block is None
        self._rest += block or b""
        return not self._ended


def _line_end(rest: bytes, at: int) -> int:
    """Where the line end begins whose LF is there."""
    return at - 1 if rest[at - 1 : at] == b"\r" else at


def _first(content: Iterator[bytes]) -> bytes:
    """Of what is read to its end, as much as is worth keeping."""
    kept = bytearray()
    for block in content:
        kept += block[: LONGEST_HEADER - len(kept)]
    return bytes(kept)


def _delimiter(line: bytes, within: Boundaries) -> tuple[bytes, bool] | None:
    """The innermost counts."""
    if not line.startswith(b"--") or len(line) > 2 * LONGEST_BOUNDARY:
        return None
    told = line[2:].rstrip()
    if told in within:
        return told, False
    return (told[:-2], True) if told.endswith(b"--") and told[:-2] in within else None


def _parsed(raw: bytes, default: str) -> Message:
    """Never raises."""
    try:
        header = BytesHeaderParser().parsebytes(raw)
        header.set_default_type(default)
        header.get_content_type()
    except Exception:  # many kinds, by what is in it
        return Message()
    return header


def _boundary(header: Message) -> bytes:
    """Of a multipart; else, or when it names none that could be met, empty."""
    try:
        if header.get_content_maintype() != "multipart":
            return b""
        told = str(header.get_boundary("")).encode("ascii", "surrogateescape").rstrip()
    except Exception:
        return b""
    return told if len(told) <= LONGEST_BOUNDARY else b""
