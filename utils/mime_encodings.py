"""Transfer encodings of bodies (RFC 2045), encoded words (RFC 2047) and long parameters (RFC 2231)."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from urllib.parse import quote

MAX_LINE = 998  # octets, RFC 5322 2.1.1
MAX_ENCODED = 76  # characters of a quoted-printable or base64 line, RFC 2045 6.7
MAX_WORD = 75  # characters of one encoded word, RFC 2047 2
_WORD_FRAME = len("=?utf-8?q??=")

_PLAIN = bytes([9, 10, *range(32, 127)])
_QP_LITERAL = _PLAIN.replace(b"=", b"")
# What Q leaves alone in a display name (RFC 2047 5.3), the strictest place; used for every header.
_Q_LITERAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
_Q = ["_" if i == 32 else chr(i) if i in _Q_LITERAL else f"={i:02X}" for i in range(256)]
_QP_OVERLONG = re.compile(rb"^([^\n]{74,75})(=20|=09)$", re.MULTILINE)

# 57 octets make a line of 76 characters; a chunk of whole lines bounds the list of lines held at a time.
_BASE64_CHUNK = 57 * 16_384


def encode_text(text: str) -> tuple[str, bytes]:
    """Content-Transfer-Encoding and body: 7bit if possible, else the shorter of quoted-printable and base64.

    Line ends become CRLF and the last line gets one. Raises UnicodeEncodeError on a lone surrogate.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text and not text.endswith("\n"):
        text += "\n"
    raw = text.encode()
    if not raw.translate(None, _PLAIN) and _lines_fit(raw):
        return "7bit", raw.replace(b"\n", b"\r\n")
    escapes = len(raw.translate(None, _QP_LITERAL))
    if len(raw) + 2 * escapes <= len(raw) * 4 // 3:
        return "quoted-printable", quoted_printable(raw)
    return "base64", base64_lines(raw.replace(b"\n", b"\r\n"))


def _lines_fit(raw: bytes) -> bool:
    return len(raw) <= MAX_LINE or max(map(len, raw.split(b"\n"))) <= MAX_LINE


def quoted_printable(raw: bytes) -> bytes:
    """`raw` has LF line ends; the result has CRLF and lines of at most 76 characters."""
    encoded = binascii.b2a_qp(raw)
    if (b" \n" in raw or b"\t\n" in raw) and max(map(len, encoded.split(b"\n"))) > MAX_ENCODED:
        # The C encoder escapes a space before a line end without counting the two characters more.
        encoded = _QP_OVERLONG.sub(rb"\1=\n\2", encoded)
    return encoded.replace(b"\n", b"\r\n")


def base64_lines(raw: bytes) -> bytes:
    """Lines of 76 characters with CRLF between them, none after the last."""
    chunks = []
    for start in range(0, len(raw), _BASE64_CHUNK):
        encoded = binascii.b2a_base64(raw[start : start + _BASE64_CHUNK], newline=False)
        chunks.append(b"\r\n".join([encoded[i : i + 76] for i in range(0, len(encoded), 76)]))
    return b"\r\n".join(chunks)


def encoded_words(text: str, first: int = MAX_WORD, limit: int = MAX_WORD) -> list[str]:
    """UTF-8 encoded words of at most `limit` characters, the first of at most `first`.

    No character is split. Raises UnicodeEncodeError on a lone surrogate.
    """
    raw = text.encode()
    first, limit = first - _WORD_FRAME, limit - _WORD_FRAME
    q_size = len(raw) + 2 * len(raw.translate(None, _Q_LITERAL + b" "))
    if q_size <= (len(raw) + 2) // 3 * 4:
        return [f"=?utf-8?q?{_q(part)}?=" for part in _split(text, first, limit, _q_size)]
    parts = _split(text, first // 4 * 3, limit // 4 * 3, _octets)
    return [f"=?utf-8?b?{binascii.b2a_base64(part.encode(), newline=False).decode()}?=" for part in parts]


def _q(text: str) -> str:
    return "".join([_Q[octet] for octet in text.encode()])


def _q_size(text: str) -> int:
    return len(_q(text))


def _octets(text: str) -> int:
    return len(text.encode())


def _split(text: str, first: int, room: int, size_of: Callable[[str], int]) -> list[str]:
    if size_of(text) <= first:
        return [text]
    parts, start, left = [], 0, first
    for i, char in enumerate(text):
        size = size_of(char)
        if size > left:
            parts.append(text[start:i])
            start, left = i, room
        left -= size
    return [*parts, text[start:]]


def extended_parameter(name: str, value: str, width: int = 54) -> list[str]:
    """`name*=utf-8''…`, or `name*0*=…` and on when longer than `width`; escapes are never split."""
    escaped = quote(value, safe="!#$&+-.^_`|~")
    if len(escaped) <= width:
        return [f"{name}*=utf-8''{escaped}"]
    parts = re.findall(rf"(?:[^%]|%..){{1,{width // 3}}}", escaped)
    parts[0] = f"utf-8''{parts[0]}"
    return [f"{name}*{i}*={part}" for i, part in enumerate(parts)]
