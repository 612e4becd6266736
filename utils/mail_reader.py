"""Reads mail as it came, however broken: nothing in here raises because of what the bytes say."""

from __future__ import annotations

import email
import re
from collections.abc import Callable, Iterator
from email.header import decode_header
from email.message import Message
from typing import Any

_HEADER = r"^%s:[ \t]*(.*(?:\n[ \t].*)*)"
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_HEAD_BYTES = 65_536
# What the email package raises on headers and bodies that lie about themselves.
_BROKEN = (ValueError, LookupError, TypeError, AttributeError, AssertionError)


def header_of(data: bytes, name: str) -> str:
    """One header's text, decoded, without parsing the rest. '' when there is none."""
    head = _repaired(data[:_HEAD_BYTES].partition(b"\r\n\r\n")[0]).replace("\r\n", "\n")
    found = re.search(_HEADER % re.escape(name), head, re.IGNORECASE | re.MULTILINE)
    return decoded(found[1]) if found else ""


def decoded(value: str) -> str:
    """A header's value unfolded, its encoded words (RFC 2047) read."""
    value = _FOLD.sub("", value).strip()
    if "=?" not in value:
        return value
    try:
        return "".join(_in_charset(text, charset) for text, charset in encoded_words(value))
    except _BROKEN:
        return value


def encoded_words(value: str) -> list[tuple[str | bytes, str | None]]:
    """The pieces of a header and their charsets. Behind the last end of a word there is none, where `decode_header`
    would look for one from each beginning: 5 s for 60 KB."""
    end = value.rfind("?=") + 2
    return [*(decode_header(value[:end]) if end > 1 else ()), (value[end:] if end > 1 else value, None)]


def read_mail(data: bytes) -> dict[str, Any]:
    """subject, from, to, cc, date, message_id; headers [[name, value], …]; html and text (or None);
    attachments [{filename, content_type, content_id, size}, …]."""
    try:
        message = email.message_from_bytes(data)
    except RecursionError:  # multiparts nested hundreds deep
        message = email.message_from_bytes(data.partition(b"\r\n\r\n")[0].replace(b"ontent-", b"-"))
    headers = [[name, decoded(_repaired(value))] for name, value in message.raw_items()]
    first = {name.lower(): value for name, value in reversed(headers)}
    bodies: dict[str, str] = {}
    attachments = []
    for part in _leaves(message):
        kind = part.get_content_type()
        if kind in ("text/plain", "text/html") and kind not in bodies and not _is_attached(part):
            bodies[kind] = _text(part)
        else:
            attachments.append(_attachment(part, kind))
    shown = ("subject", "from", "to", "cc", "date", "message-id")
    return {name.replace("-", "_"): first.get(name, "") for name in shown} | {
        "headers": headers,
        "html": bodies.get("text/html"),
        "text": bodies.get("text/plain"),
        "attachments": attachments,
    }


def _leaves(message: Message) -> Iterator[Message]:
    """Parts that hold content, in order; a forwarded message is one of them, whole."""
    stack = [message]
    while stack:
        part = stack.pop()
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            stack.extend(reversed(_children(part)))
        else:
            yield part


def _children(part: Message) -> list[Message]:
    return [child for child in part.get_payload() if isinstance(child, Message)]


def _is_attached(part: Message) -> bool:
    return _tried(part.get_content_disposition, None) == "attachment" or bool(_tried(part.get_filename, None))


def _attachment(part: Message, kind: str) -> dict[str, Any]:
    return {
        "filename": decoded(_repaired(str(_tried(part.get_filename, None) or ""))),
        "content_type": kind,
        "content_id": _repaired(str(part.get("Content-ID", ""))).strip(" <>\r\n") or None,
        "size": len(_content(part)),
    }


def _content(part: Message) -> bytes:
    if part.is_multipart():
        return b"".join(_tried(child.as_bytes, b"") for child in _children(part))
    found = _tried(lambda: part.get_payload(decode=True), b"")
    return found if isinstance(found, bytes) else b""


def _text(part: Message) -> str:
    charset = _tried(part.get_content_charset, None)
    return _in_charset(_content(part), charset).replace("\r\n", "\n")


def _in_charset(text: str | bytes, charset: str | None) -> str:
    if isinstance(text, str):
        return text
    try:
        return text.decode(charset or "utf-8", "replace")
    except _BROKEN:  # no such charset
        return text.decode("utf-8", "replace")


def _repaired(text: str | bytes) -> str:
    """Bytes beyond ASCII in a header are UTF-8, or nothing that we can read."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return raw.decode("utf-8", "replace")


def _tried(get: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return get()
    except (*_BROKEN, RecursionError):
        return otherwise
