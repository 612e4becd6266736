"""Builds the bytes of an email: text, html, inline images and attachments.

The same Mail always gives the same bytes, so a retry sends exactly what the first attempt did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate

from utils import addresses, mime_headers
from utils.addresses import Address
from utils.mime_encodings import base64_lines, encode_text
from utils.mime_headers import FORBIDDEN_HEADERS, HeaderError, check_content_id, check_header

__all__ = [
    "FORBIDDEN_HEADERS",
    "Attachment",
    "HeaderError",
    "Mail",
    "build",
    "check_content_id",
    "check_header",
    "needs_smtputf8",
]

# The header fields of a part, folded, and the pieces of its body.
Part = tuple[list[str], list[bytes]]


@dataclass(frozen=True, slots=True)
class Attachment:
    """`content_id` (without angle brackets) makes it inline: html shows it as `cid:…`."""

    filename: str
    content_type: str
    content: bytes
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """`message_id` has its angle brackets, `date` is ms since the epoch, boundaries derive from `seed`."""

    sender: Address
    to: Sequence[Address]
    cc: Sequence[Address]
    reply_to: Sequence[Address]
    subject: str
    message_id: str
    date: int
    seed: str
    text: str | None
    html: str | None
    headers: Sequence[tuple[str, str]]
    attachments: Sequence[Attachment]


def needs_smtputf8(mail: Mail) -> bool:
    """Whether a header address has a non-ASCII local part; then all headers are raw UTF-8 (RFC 6532)."""
    everyone = (mail.sender, *mail.to, *mail.cc, *mail.reply_to)
    return any(addresses.needs_smtputf8(address.email) for address in everyone)


def build(mail: Mail) -> bytes:
    """CRLF line ends, the last included; not dot-stuffed; ASCII, but for headers when SMTPUTF8 is needed.

    Raises HeaderError on anything that could break out of a header, and on broken characters anywhere.
    """
    fields = _fields(mail)
    try:
        part_fields, body = _content(mail)
    except UnicodeEncodeError:
        raise HeaderError("the text or html holds a broken character (a lone surrogate)") from None
    head = "\r\n".join([*fields, *part_fields, "", ""]).encode()
    if body[-1] and not body[-1].endswith(b"\r\n"):
        body.append(b"\r\n")
    return b"".join([head, *body])


def _fields(mail: Mail) -> list[str]:
    utf8 = needs_smtputf8(mail)
    fields = [mime_headers.address_list("From", [mail.sender], utf8)]
    if mail.to:
        fields.append(mime_headers.address_list("To", mail.to, utf8))
    elif not mail.cc:
        fields.append("To: undisclosed-recipients:;")
    if mail.cc:
        fields.append(mime_headers.address_list("Cc", mail.cc, utf8))
    if mail.reply_to:
        fields.append(mime_headers.address_list("Reply-To", mail.reply_to, utf8))
    fields.append(mime_headers.unstructured("Subject", mail.subject, utf8))
    fields.append(mime_headers.message_id(mail.message_id))
    # formatdate says -0000, "zone unknown"; ours is known to be UTC.
    fields.append(f"Date: {formatdate(mail.date // 1000)[:-5]}+0000")
    for name, value in mail.headers:
        check_header(name, value)
        fields.append(mime_headers.unstructured(name, value, utf8))
    fields.append("MIME-Version: 1.0")
    return fields


def _content(mail: Mail) -> Part:
    text = _text_part("plain", mail.text) if mail.text is not None or mail.html is None else None
    html = _text_part("html", mail.html) if mail.html is not None else None
    boundary = _boundary(mail.seed, [part for part in (text, html) if part])
    # Without html nothing can show an image inline, so it goes with the other attachments.
    inline = [a for a in mail.attachments if a.content_id is not None] if html else []
    outer = [a for a in mail.attachments if a.content_id is None or not html]
    if html and inline:
        parts = [html, *map(_attachment_part, inline)]
        html = _multipart('related; type="text/html"', f"{boundary}_rel", parts)
    bodies = [part for part in (text, html) if part]
    content = bodies[0] if len(bodies) == 1 else _multipart("alternative", f"{boundary}_alt", bodies)
    if outer:
        content = _multipart("mixed", f"{boundary}_mix", [content, *map(_attachment_part, outer)])
    return content


def _text_part(subtype: str, text: str | None) -> Part:
    encoding, body = encode_text(text or "")
    fields = [f"Content-Type: text/{subtype}; charset=utf-8", f"Content-Transfer-Encoding: {encoding}"]
    return fields, [body]


def _attachment_part(attachment: Attachment) -> Part:
    kind = "attachment" if attachment.content_id is None else "inline"
    fields = [
        mime_headers.content_type(attachment.content_type),
        "Content-Transfer-Encoding: base64",
        mime_headers.disposition(kind, attachment.filename),
    ]
    if attachment.content_id is not None:
        check_content_id(attachment.content_id)
        fields.append(f"Content-ID: <{attachment.content_id}>")
    return fields, [base64_lines(attachment.content)]


def _multipart(kind: str, boundary: str, parts: Sequence[Part]) -> Part:
    body = []
    for fields, content in parts:
        head = "\r\n".join([f"--{boundary}", *fields, "", ""])
        # The line end before a delimiter belongs to the delimiter (RFC 2046 5.1.1).
        body += [head.encode(), *content, b"\r\n"]
    body.append(f"--{boundary}--\r\n".encode())
    return [f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"'], body


def _boundary(seed: str, texts: Sequence[Part]) -> str:
    """Neither base64 nor quoted-printable can hold `=_`; a 7bit text could, so look."""
    digest = hashlib.sha256(seed.encode(errors="replace"))
    while True:
        boundary = f"=_{digest.hexdigest()[:24]}"
        marker = boundary.encode()
        if not any(marker in piece for _, pieces in texts for piece in pieces):
            return boundary
        digest.update(b"+")
