"""The text of a letter, from the parts of it that are text."""

from __future__ import annotations

import base64
import binascii
import quopri
from collections.abc import Sequence
from dataclasses import dataclass

from services.sync.headers import by_charset, clean
from services.sync.structure import Leaf
from utils.html_text import html_to_text

LARGEST = 1_000_000  # bytes of one part of text, as encoded; what is beyond is not fetched
LARGEST_REPORT = 65_536  # the same of a part of a report
MOST_TEXT_PARTS = 20
PREVIEW = 200
MOST_REPORT_PARTS = 5
_REPORTS = (
    "message/delivery-status", "message/global-delivery-status", "message/feedback-report",
    "message/disposition-notification", "message/global-disposition-notification",
)  # fmt: skip
_ABOUT = ("message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers")
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)


@dataclass(frozen=True, slots=True)
class Body:
    """`text` is derived from the html where it came without one. None: the message has neither."""

    text: str | None
    html: str | None

    @property
    def preview(self) -> str:
        return " ".join((self.text or "")[: PREVIEW * 10].split())[:PREVIEW]


def text_parts(leaves: Sequence[Leaf]) -> list[Leaf]:
    """Those that make up the body: all plain text, and the html. Others of text are attachments."""
    return [one for one in leaves if one.is_body][:MOST_TEXT_PARTS]


def report_parts(leaves: Sequence[Leaf]) -> list[Leaf]:
    """What a report (RFC 3464, 5965, 8098) is read from, beside its text; and the mail that it is about."""
    if not any(one.mime_type in _REPORTS for one in leaves):
        return []
    return [one for one in leaves if one.mime_type in (*_REPORTS, *_ABOUT)][:MOST_REPORT_PARTS]


def wanted_parts(leaves: Sequence[Leaf]) -> list[Leaf]:
    """All that is fetched of a message without anybody asking for it."""
    return [*text_parts(leaves), *report_parts(leaves)]


def may_be_wanted(leaf: Leaf) -> bool:
    """Of one part, before the others are known."""
    return leaf.is_body or leaf.mime_type in (*_REPORTS, *_ABOUT)


def limit_of(leaf: Leaf) -> int:
    """So many bytes of it are fetched."""
    return LARGEST if leaf.is_body else LARGEST_REPORT


def attachments(leaves: Sequence[Leaf]) -> list[Leaf]:
    taken = {one.section for one in text_parts(leaves)}
    return [one for one in leaves if one.section not in taken]


def body_from(parts: Sequence[tuple[Leaf, bytes]]) -> Body:
    """Of the parts as they came, those of text. Never raises."""
    plain = [decode(leaf, raw) for leaf, raw in parts if leaf.is_body and leaf.mime_type == "text/plain"]
    pages = [decode(leaf, raw) for leaf, raw in parts if leaf.is_body and leaf.mime_type == "text/html"]
    html = "\n".join(pages) if pages else None
    text = "\n".join(plain) if plain else None
    if html is not None and not (text or "").strip():
        text = html_to_text(html)
    return Body(clean(text) if text is not None else None, html)


def decode(leaf: Leaf, raw: bytes) -> str:
    return by_charset(undo(leaf.encoding, raw), leaf.charset).replace("\r\n", "\n")


def undo(encoding: str, raw: bytes) -> bytes:
    """A transfer encoding, however the part was cut off or damaged."""
    try:
        if encoding == "base64":
            data = raw.translate(None, _NOT_BASE64)
            data = data[: len(data) - (len(data) % 4 == 1)]
            return base64.b64decode(data + b"=" * (-len(data) % 4))
        if encoding == "quoted-printable":
            return quopri.decodestring(raw)
    except (binascii.Error, ValueError):
        pass
    return raw
