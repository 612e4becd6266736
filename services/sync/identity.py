"""By what a message is known again when its UID has changed."""

from __future__ import annotations

from typing import Any

from services.imap.reading import internal_date
from services.sync.headers import read_headers

IDENTITY_ITEMS = "UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"


def identity_of(message: dict[bytes, Any]) -> tuple[str, int, int | None] | None:
    """(Message-ID, size, INTERNALDATE)"""
    if b"RFC822.SIZE" not in message:
        return None
    header = next((value for name, value in message.items() if name.startswith(b"BODY[HEADER")), b"") or b""
    at = internal_date(message.get(b"INTERNALDATE"))
    return read_headers(header).message_id, int(message[b"RFC822.SIZE"]), at


def server_ids(message: dict[bytes, Any]) -> tuple[str | None, str | None]:
    """What the server itself calls the message and its thread: OBJECTID (RFC 8474) or Gmail's."""
    return (
        _word(message.get(b"EMAILID")) or _word(message.get(b"X-GM-MSGID")),
        _word(message.get(b"THREADID")) or _word(message.get(b"X-GM-THRID")),
    )


def _word(value: Any) -> str | None:
    inner = value[0] if isinstance(value, list) and value else value
    return inner.decode("ascii", "replace") if isinstance(inner, bytes) else None
