"""What a message is made of, from its BODYSTRUCTURE: which parts are its text, and which are attachments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from services.sync.headers import clean, decoded

MOST_PARTS = 1_000  # of one message; further ones are not listed
LONGEST_NAME = 500


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that holds no others. `section`: as in BODY[2.1]; `size`: bytes on the wire, as encoded."""

    section: str
    mime_type: str
    encoding: str
    size: int
    charset: str = ""
    filename: str = ""
    content_id: str | None = None
    disposition: str = ""
    related: bool = False  # within multipart/related: shown by the html beside it

    @property
    def is_body(self) -> bool:
        """Text to be read as the message itself."""
        named = self.filename or self.disposition == "attachment"
        return self.mime_type in ("text/plain", "text/html") and not named

    @property
    def is_inline(self) -> bool:
        return self.content_id is not None and (self.related or self.disposition == "inline")


def leaves(structure: Any) -> list[Leaf]:
    """In their order. ValueError, TypeError or IndexError for what is no BODYSTRUCTURE."""
    found: list[Leaf] = []
    for one in _walk(structure, "", False):
        found.append(one)
        if len(found) >= MOST_PARTS:
            break
    return found


def _walk(structure: list[Any], section: str, related: bool) -> Iterator[Leaf]:
    if not isinstance(structure[0], list):
        yield _leaf(structure, section or "1", related)
        return
    children = [one for one in structure if isinstance(one, list)]
    count = next(at for at, one in enumerate(structure) if not isinstance(one, list))
    subtype = _word(structure[count])
    for number, child in enumerate(children[:count], 1):
        inner = f"{section}.{number}" if section else str(number)
        yield from _walk(child, inner, related or subtype == "related")


def _leaf(values: list[Any], section: str, related: bool) -> Leaf:
    mime_type = f"{_word(values[0])}/{_word(values[1])}"
    parameters = _parameters(values[2])
    disposition, told = _disposition(values, mime_type)
    content_id = _text(values[3]).strip().strip("<>")
    return Leaf(
        section, mime_type[:200], _word(values[5])[:40] or "7bit", int(values[6] or 0),
        clean(parameters.get("charset", ""))[:60].lower(),
        _filename(told, "filename") or _filename(parameters, "name") or _fallback_name(mime_type, values),
        clean(content_id)[:LONGEST_NAME] or None, disposition, related,
    )  # fmt: skip


def _disposition(values: list[Any], mime_type: str) -> tuple[str, dict[str, str]]:
    """After MD5, which itself comes after what only text and message/rfc822 have."""
    basic = 7 + (1 if mime_type.startswith("text/") else 3 if _holds_message(mime_type, values) else 0)
    told = values[basic + 1] if len(values) > basic + 1 else None
    if not isinstance(told, list) or not told:
        return "", {}
    return _word(told[0]), _parameters(told[1] if len(told) > 1 else None)


def _holds_message(mime_type: str, values: list[Any]) -> bool:
    return (
        mime_type in ("message/rfc822", "message/global") and len(values) > 8 and isinstance(values[8], list)
    )


def _fallback_name(mime_type: str, values: list[Any]) -> str:
    if not _holds_message(mime_type, values) or not isinstance(values[7], list) or len(values[7]) < 2:
        return ""
    return message_name(decoded(_text(values[7][1])))


def message_name(subject: str) -> str:
    """A forwarded message is known by its subject."""
    told = subject[: LONGEST_NAME - 4].replace("/", "-").strip()
    return f"{told or 'message'}.eml"


def _parameters(values: Any) -> dict[str, str]:
    if not isinstance(values, list):
        return {}
    return {_word(values[at]): _text(values[at + 1]) for at in range(0, len(values) - 1, 2)}


def _filename(parameters: dict[str, str], name: str) -> str:
    """RFC 2231, in pieces or not; RFC 2047, which is wrong there and common."""
    if f"{name}*" in parameters:
        return plain_name(_extended(parameters[f"{name}*"]))
    pieces: list[tuple[bool, str]] = []
    while (piece := _piece(parameters, f"{name}*{len(pieces)}")) is not None and len(pieces) < 100:
        pieces.append(piece)
    if any(coded for coded, _ in pieces):
        return plain_name(
            _extended("".join(text if coded else quote(text, safe="'") for coded, text in pieces))
        )
    if pieces:
        return plain_name("".join(text for _, text in pieces))
    return plain_name(decoded(parameters.get(name, "")))


def _piece(parameters: dict[str, str], name: str) -> tuple[bool, str] | None:
    if f"{name}*" in parameters:
        return True, parameters[f"{name}*"]
    return (False, parameters[name]) if name in parameters else None


def _extended(text: str) -> str:
    charset, _, rest = text.partition("'")
    raw = unquote_to_bytes(rest.partition("'")[2])
    try:
        return raw.decode(charset or "utf-8")
    except (LookupError, ValueError):
        return raw.decode("utf-8", "replace")


def plain_name(text: str) -> str:
    """A name alone: no folders, no control characters."""
    plain = "".join(char for char in clean(text) if char.isprintable())
    return plain.replace("\\", "/").rsplit("/", 1)[-1].strip()[:LONGEST_NAME]


def _word(value: Any) -> str:
    return _text(value).strip().lower()


def _text(value: Any) -> str:
    if not isinstance(value, bytes):
        return ""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
