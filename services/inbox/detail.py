"""One message, whole: what it says, fit to be shown, and what comes with it."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass
from typing import Any

from models.database import row
from models.inbox import Letter, Part
from services.errors import NotFoundError
from services.inbox.late_text import late_text
from services.inbox.links import download_link
from services.inbox.view import items
from services.relay import Relay
from services.sync.bodies import Body
from utils.mail_reader import decoded
from utils.safe_html import html_of_text, safe_html

_HEADER = re.compile(r"^([!-9;-~]{1,200}):[ \t]*(.*(?:\r?\n[ \t].*)*)", re.MULTILINE)
_MOST_HEADERS = 500
_LONGEST_HEADER = 20_000
_LINE = 78  # of base64, with its line end
_NO_BODY: dict[str, Any] = {
    "hasBody": True, "bodyError": None, "body": None, "bodyHtml": None, "blockedImages": 0, "isHtmlRefused": False
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A message of an account, and the letter that it shows."""

    id: int
    folder_id: int
    letter_id: int


def find(account_id: str, message_id: int, *, moving: bool = False) -> Place:
    """NotFoundError unless the account has it. `moving`: also when its new place is still to be found."""
    found = row(
        "SELECT id, folder_id, letter_id FROM messages WHERE id = ? AND account_id = ? AND (gone_at IS NULL OR ?)",
        message_id, account_id, moving,
    )  # fmt: skip
    if found is None:
        raise NotFoundError(f"no message {message_id}")
    return Place(*found)


def detail(
    relay: Relay, account_id: str, message_id: int, now: int, *, images: bool = False, moving: bool = False
) -> dict[str, Any]:
    """`bodyHtml` is safe to show; remote images are in it only when `images` asks for them."""
    place = find(account_id, message_id, moving=moving)
    letter = Letter.get_or_none(Letter.id == place.letter_id)
    shown = items([place.id])
    if letter is None or not shown:  # gone since
        raise NotFoundError(f"no message {message_id}")
    parts = list(Part.select().where(Part.letter_id == letter.id).order_by(Part.id))
    return shown[0] | _body(relay, letter, parts, now, images, not moving) | {
        "messageId": letter.message_id or None,
        "inReplyTo": letter.in_reply_to or None,
        "replyTo": [address for _, address in letter.recipients.get("reply_to") or []],
        "people": {"from": _people([letter.sender] if letter.sender else [])}
        | {kind: _people(letter.recipients.get(kind) or []) for kind in ("to", "cc", "bcc")},
        "headers": headers_of(letter.headers or ""),
        "attachments": [_attachment(relay, place, account_id, one, now) for one in parts],
    }  # fmt: skip


def filename_of(part: Part) -> str:
    """Never empty."""
    ending = mimetypes.guess_extension(part.mime_type) or ""
    return str(part.filename or f"attachment-{part.section}{ending}")


def headers_of(raw: str) -> dict[str, str]:
    """By their names as they came, decoded. One that came several times has a line for each."""
    names: dict[str, str] = {}
    values: dict[str, str] = {}
    for name, value in _HEADER.findall(raw)[:_MOST_HEADERS]:
        shown = names.setdefault(name.lower(), name)
        text = " ".join(decoded(value[:_LONGEST_HEADER]).split())
        values[shown] = f"{values[shown]}\n{text}" if shown in values else text
    return values


def _body(
    relay: Relay, letter: Letter, parts: list[Part], now: int, images: bool, ask: bool
) -> dict[str, Any]:
    """`body` and `bodyHtml` are null when they have not come, which `hasBody` tells, and `bodyError` why. What sync has
    not fetched yet, the server is asked for if `ask`. `isHtmlRefused`: `bodyHtml` shows the text, since the html would
    have kept us busy."""
    body: Body | str = Body(letter.text, letter.html)
    if not letter.has_body:
        body = late_text(relay, letter, now) if ask else ""
    if isinstance(body, str):
        return _NO_BODY | {"hasBody": False, "bodyError": body or None}
    shown = _NO_BODY | {"body": body.text}
    if body.html is None:
        return shown
    by_content_id = {one.content_id: one.id for one in reversed(parts) if one.content_id}

    def inline(content_id: str) -> str | None:
        part_id = by_content_id.get(content_id)
        return None if part_id is None else download_link(relay, letter.account_id, part_id, now)

    safe = safe_html(body.html, images=images, inline=inline)
    if safe is None:
        return shown | {"bodyHtml": html_of_text(body.text or ""), "isHtmlRefused": True}
    return shown | {"bodyHtml": safe.html, "blockedImages": safe.blocked}


def _people(people: list[list[str]]) -> list[dict[str, str]]:
    return [{"name": name, "email": address} for name, address in people]


def _attachment(relay: Relay, place: Place, account_id: str, part: Part, now: int) -> dict[str, Any]:
    return {
        "id": str(part.id),
        "messageId": str(place.id),
        "filename": filename_of(part),
        "mimeType": part.mime_type,
        "size": _decoded_size(part),
        "contentId": part.content_id,
        "isInline": part.is_inline,
        "downloadUrl": download_link(relay, account_id, part.id, now),
    }


def _decoded_size(part: Part) -> int:
    """To within a few bytes: the server tells the size of what is encoded."""
    if part.encoding != "base64":
        return int(part.size)
    return int((part.size - 2 * (part.size // _LINE)) * 3 // 4)
