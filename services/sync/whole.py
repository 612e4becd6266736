"""A message that came whole, as POP3 brings it: the same parts, by the same numbers, as an IMAP server would tell."""

from __future__ import annotations

import email
from collections.abc import Iterator
from email.message import Message as Parsed

from services.sync.headers import LONGEST_HEADER, clean, decoded
from services.sync.structure import LONGEST_NAME, MOST_PARTS, Leaf, plain_name

_DEEPEST = 100

Piece = tuple[Leaf, bytes]  # and its bytes, as encoded


def header_of(raw: bytes) -> bytes:
    for end in (b"\r\n\r\n", b"\n\n"):
        head, found, _ = raw.partition(end)
        if found:
            return (head + end)[:LONGEST_HEADER]
    return raw[:LONGEST_HEADER]


def pieces_of(raw: bytes) -> list[Piece]:
    """Never raises; one that cannot be taken apart is one part."""
    try:
        parsed = email.message_from_bytes(raw)
        found: list[Piece] = []
        for piece in _walk(parsed, "", related=False, depth=0):
            found.append(piece)
            if len(found) >= MOST_PARTS:
                break
        return found
    except Exception:  # many kinds, by what is in it
        body = raw[len(header_of(raw)) :]
        return [(Leaf("1", "application/octet-stream", "8bit", len(body)), body)]


def _walk(part: Parsed, section: str, *, related: bool, depth: int) -> Iterator[Piece]:
    kind = part.get_content_type()
    children = part.get_payload() if part.is_multipart() and kind.startswith("multipart/") else None
    if not isinstance(children, list) or depth >= _DEEPEST:
        yield _leaf(part, section or "1", related)
        return
    for number, child in enumerate(children, 1):
        inner = f"{section}.{number}" if section else str(number)
        if isinstance(child, Parsed):
            yield from _walk(child, inner, related=related or kind == "multipart/related", depth=depth + 1)


def _leaf(part: Parsed, section: str, related: bool) -> Piece:
    data = _bytes(part)
    told = str(part.get("Content-ID") or "").strip().strip("<>")
    filename = plain_name(decoded(str(part.get_filename() or "")))
    if not filename and part.get_content_type() == "message/rfc822":
        filename = "message.eml"
    leaf = Leaf(
        section, part.get_content_type()[:200],
        str(part.get("Content-Transfer-Encoding") or "7bit").strip().lower()[:40], len(data),
        clean(str(part.get_content_charset("") or ""))[:60].lower(), filename,
        clean(told)[:LONGEST_NAME] or None, str(part.get_content_disposition() or "")[:40], related,
    )  # fmt: skip
    return leaf, data


def _bytes(part: Parsed) -> bytes:
    payload = part.get_payload()
    if isinstance(payload, list):  # a message within: its own bytes
        return b"".join(one.as_bytes() for one in payload if isinstance(one, Parsed))
    return str(payload or "").encode("ascii", "surrogateescape")
