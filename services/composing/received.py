"""Attachments of messages here, to be sent on: fetched from the mail server of the account that they came to, before
anything is stored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from models.database import row, rows
from models.inbox import Part
from services.composing import uploads
from services.composing.uploads import Files
from services.errors import NotFoundError, TooLargeError
from services.inbox.detail import filename_of
from services.inbox.download import download
from services.principal import Principal
from services.relay import Relay
from utils.mime import Attachment, HeaderError, check_content_id

_NUMBER = re.compile(r"[0-9]{1,18}\Z", re.ASCII)  # ids of uploads are longer
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029/\\]")
_OF_USER = 'a.tenant = ? AND a."user" = ? AND a.deleted_at IS NULL'


class Found(NamedTuple):
    part: Part
    account_id: str


def read(relay: Relay, who: Principal, files: Files, now: int) -> list[Attachment]:
    """All of `files` with their bytes: those by id in their order, those that came along, those of a forwarded message.

    NotFoundError that names the first that is not there; TooLargeError before more is fetched than a message may hold;
    MailServerError when a server does not give it now.
    """
    numbered = {one: _by_id(who, one, at) for at, one in enumerate(files.ids) if _NUMBER.match(one)}
    kept = uploads.find(who, files.ids, but=set(numbered))
    forwarded = _of_message(who, files.forward_of) if files.forward_of else []
    fetched = _fetch(relay, [*numbered.values(), *forwarded], now)
    contents = dict(zip((one.id for one in kept), uploads.read(kept), strict=True))
    contents |= {one: fetched[found.part.id] for one, found in numbered.items()}
    return [
        *(contents[one] for one in files.ids), *files.new, *(fetched[one.part.id] for one in forwarded),
    ]  # fmt: skip


def kept(relay: Relay, who: Principal, files: Files, now: int) -> Files:
    """The same for a draft: what is fetched becomes uploads."""
    numbered = {one: _by_id(who, one, at) for at, one in enumerate(files.ids) if _NUMBER.match(one)}
    forwarded = _of_message(who, files.forward_of) if files.forward_of else []
    fetched = _fetch(relay, [*numbered.values(), *forwarded], now)
    stored = {part_id: uploads.add(relay, who, file, now).id for part_id, file in fetched.items()}
    ids = [stored[numbered[one].part.id] if one in numbered else one for one in files.ids]
    return Files([*ids, *(stored[one.part.id] for one in forwarded)], files.new)


def _by_id(who: Principal, part_id: str, place: int) -> Found:
    found = row(
        "SELECT l.account_id FROM parts p JOIN letters l ON l.id = p.letter_id JOIN accounts a ON a.id = l.account_id"
        f" WHERE p.id = ? AND {_OF_USER}",
        int(part_id), who.tenant, who.user,
    )  # fmt: skip
    if found is None:
        name = f"attachmentIds.{place}"
        raise NotFoundError(f"{name}: no attachment {part_id}", code="ATTACHMENT_NOT_FOUND", field=name)
    return Found(Part.get_by_id(int(part_id)), found[0])


def _of_message(who: Principal, message_id: str) -> list[Found]:
    """Of a message of the user's, all that it came with."""
    found = None
    if _NUMBER.match(message_id):
        found = row(
            "SELECT m.letter_id, m.account_id FROM messages m JOIN accounts a ON a.id = m.account_id"
            f" WHERE m.id = ? AND m.gone_at IS NULL AND {_OF_USER}",
            int(message_id), who.tenant, who.user,
        )  # fmt: skip
    if found is None:
        raise NotFoundError(
            f"forwardOf: no message {message_id}", code="MESSAGE_NOT_FOUND", field="forwardOf"
        )
    ids = rows("SELECT id FROM parts WHERE letter_id = ? ORDER BY id", found[0])
    return [Found(Part.get_by_id(one), found[1]) for (one,) in ids]


def _fetch(relay: Relay, wanted: Sequence[Found], now: int) -> dict[int, Attachment]:
    """By the id of the part. Each is fetched once."""
    room, fetched = relay.policy.max_message_bytes, {}
    for part, account_id in {one.part.id: one for one in wanted}.values():
        content = _content(relay, account_id, part, room, now)
        room -= len(content)
        fetched[part.id] = Attachment(_name(part), _type(part), content, _content_id(part))
    return fetched


def _content(relay: Relay, account_id: str, part: Part, room: int, now: int) -> bytes:
    """TooLargeError as soon as it is longer than `room`, whatever its server had said of it."""
    if part.size // 2 > room:
        raise _too_large(relay)
    content = bytearray()
    found = download(relay, account_id, part.id, now)
    with closing(found.chunks) as chunks:
        for chunk in chunks:
            content += chunk
            if len(content) > room:
                raise _too_large(relay)
    return bytes(content)


def _too_large(relay: Relay) -> TooLargeError:
    return TooLargeError(
        f"what is to be sent on is larger than a message may be: {relay.policy.max_message_bytes} bytes"
    )


# A stranger's words, made fit for a header of ours.


def _name(part: Part) -> str:
    return _CONTROL.sub("_", filename_of(part))[-255:]


def _type(part: Part) -> str:
    """A message as an attachment may not be encoded (RFC 2046 5.2.1), and ours all are: it goes as a file."""
    kind = str(part.mime_type)
    told = len(kind) <= 127 and _TYPE.match(kind) and not kind.lower().startswith(("message/", "multipart/"))
    return kind if told else "application/octet-stream"


def _content_id(part: Part) -> str | None:
    try:
        check_content_id(part.content_id or "")
    except HeaderError:
        return None
    return part.content_id if part.is_inline else None
