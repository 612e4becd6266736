"""How large an email will be on the wire, told without building it: rather too much than too little."""

from __future__ import annotations

from collections.abc import Iterable

from utils.addresses import Address

FRAME = 1_200  # our own header fields, and what holds the parts together
_LITERAL = bytes({*b"\t\r\n", *range(32, 127)} - {ord("=")})  # what quoted-printable leaves alone


def message_size(
    texts: Iterable[str],
    headers: Iterable[tuple[str, str]],
    people: Iterable[Address],
    attachments: Iterable[tuple[str, int]],
) -> int:
    """Bytes. `attachments`: file name and length of each. The text that is derived from html is not counted."""
    return (
        FRAME
        + sum(_text_size(one) for one in texts)
        + sum(len(name) + 100 + _words_size(value) for name, value in headers)
        + sum(len(one.email.encode()) + 40 + _words_size(one.name) for one in people)
        + sum(length * 78 // 57 + 500 + 2 * _words_size(name) for name, length in attachments)
    )


def _text_size(text: str) -> int:
    """In the encoding that is going to be chosen, and an end to each line of 73 characters or more."""
    raw = text.encode()
    ends = bare = raw.count(b"\n")
    if b"\r" in raw:
        returns, pairs = raw.count(b"\r"), raw.count(b"\r\n")
        ends, bare = ends + returns - pairs, bare + returns - 2 * pairs
    plain = len(raw) + bare  # each becomes CRLF
    escaped = len(raw.translate(None, _LITERAL))
    if 6 * escaped > plain:
        return (plain * 4 // 3 + 4) * 78 // 73 + 100  # base64
    return (plain + 2 * (escaped + ends)) * 78 // 73 + 100  # white space before a line end is escaped too


def _words_size(value: str) -> int:
    """In encoded words (RFC 2047), which at worst double a value."""
    return 2 * len(value.encode())
