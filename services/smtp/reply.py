"""SMTP replies (RFC 5321 4.2) with their enhanced status codes (RFC 2034, 3463)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

CLOSING = 421  # at any time: the server closes the connection (RFC 5321 3.8)
MAX_LINE = 4096  # RFC 5321 4.5.3.1.5 says 512; some servers write more
MAX_LINES = 200
MAX_TEXT = 1000

_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?=\s|$)")


class Reply(NamedTuple):
    """`lines` hold the text alone: no code, no enhanced code, no control characters."""

    code: int
    enhanced: str | None
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(line for line in self.lines if line)[:MAX_TEXT]

    @property
    def ok(self) -> bool:
        return 200 <= self.code < 300

    @property
    def temporary(self) -> bool:
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        return 500 <= self.code < 600

    def without(self, secrets: tuple[str, ...]) -> Reply:
        """The same reply with every secret blotted out, for servers that echo what they were sent."""
        return self._replace(lines=tuple(blot(line, secrets) for line in self.lines))

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code), self.enhanced, self.text)))


def blot(text: str, secrets: tuple[str, ...]) -> str:
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text


def take_reply(buffer: bytearray) -> Reply | None:
    """Take one whole reply off the front of `buffer`. None: it is not all there. ValueError: it is no reply.

    A bare LF ends a line too. The code must be the same on every line (RFC 5321 4.2.1): one that changes
    would mean that we lost count of the replies, and then one email's fate is told as another's.
    """
    end = buffer.find(b"\n")
    if 0 <= end <= MAX_LINE and buffer[3:4] == b" ":
        reply = _one_line(bytes(buffer[:end]))
        del buffer[: end + 1]
        return reply
    start, lines, first = 0, [], b""
    while True:
        end = buffer.find(b"\n", start)
        if (end if end >= 0 else len(buffer)) - start > MAX_LINE:
            raise ValueError("a reply line is too long")
        if end < 0:
            return None
        line = bytes(buffer[start:end])
        start = end + 1
        code, mark = line[:3], line[3:4]
        if not _is_code(code) or mark not in (b" ", b"-", b"\r", b"") or (first and code != first):
            raise ValueError(f"not an SMTP reply: '{_clean(line[:80])}'")
        first = code
        lines.append(_clean(line[4:]))
        if mark != b"-":
            break
        if len(lines) >= MAX_LINES:
            raise ValueError("a reply has too many lines")
    del buffer[:start]
    return _reply(int(first), lines)


@lru_cache(maxsize=256)
def _one_line(line: bytes) -> Reply:
    """Nearly all replies have one line, and nearly all of them were seen before: a server says the same all day."""
    if not _is_code(line[:3]):
        raise ValueError(f"not an SMTP reply: '{_clean(line[:80])}'")
    return _reply(int(line[:3]), [_clean(line[4:])])


def _is_code(code: bytes) -> bool:
    return len(code) == 3 and code.isdigit() and code[0] in b"2345"


def _clean(line: bytes) -> str:
    text = line.decode("utf-8", "replace").strip()
    if not text.isprintable():
        text = "".join(char if char.isprintable() else "\ufffd" for char in text)
    return text


def _reply(code: int, lines: list[str]) -> Reply:
    match = _ENHANCED.match(lines[0])
    if match is None or int(match[1]) != code // 100:
        return Reply(code, None, tuple(lines))
    enhanced = match[0]
    return Reply(code, enhanced, tuple(line.removeprefix(enhanced).lstrip() for line in lines))
