"""The bytes of an email, built when it is sent: the same bytes at every attempt and for `/raw`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from models.database import marks, rows
from models.smtp_config import SmtpConfig
from services.errors import NotFoundError
from utils.addresses import Address
from utils.html_text import html_to_text
from utils.mime import Attachment, Mail, build


class Letter(NamedTuple):
    """What is stored of an email's content. `people`: (kind, address) in order."""

    id: int
    subject: str
    sender: str
    sender_name: str
    message_id: str
    created_at: int
    html: str | None
    text: str | None
    reply_to: list[list[str]]
    headers: list[list[str]]
    people: list[tuple[str, Address]]
    has_attachments: bool


def load(email_ids: Sequence[int]) -> dict[int, Letter]:
    """The content of many emails at once; those whose content was erased are missing."""
    people: dict[int, list[tuple[str, Address]]] = {one: [] for one in email_ids}
    for email_id, kind, name, address in rows(
        f"SELECT email_id, kind, name, address FROM recipients WHERE email_id IN ({marks(len(email_ids))})"
        " ORDER BY email_id, position",
        *email_ids,
    ):
        people[email_id].append((kind, Address(name, address)))
    found = rows(
        "SELECT e.id, e.subject, e.sender, e.sender_name, e.message_id, e.created_at, c.html, c.text, c.reply_to,"
        " c.headers, EXISTS (SELECT 1 FROM attachments a WHERE a.email_id = e.id)"
        f" FROM emails e JOIN contents c ON c.email_id = e.id WHERE e.id IN ({marks(len(email_ids))})",
        *email_ids,
    )
    return {one[0]: _letter(one, people[one[0]]) for one in found}


def _letter(stored: tuple[Any, ...], people: list[tuple[str, Address]]) -> Letter:
    *facts, reply_to, headers, has_attachments = stored
    lists = (json.loads(reply_to) if reply_to else [], json.loads(headers) if headers else [])
    return Letter._make((*facts, *lists, people, bool(has_attachments)))


class _HasSender(Protocol):
    @property
    def sender(self) -> Any: ...
    @property
    def sender_name(self) -> Any: ...


def sender_of(email: _HasSender, config: SmtpConfig | None) -> Address:
    """The From address: the email's own, else the config's."""
    if email.sender:
        return Address(email.sender_name, email.sender)
    if config is None:
        return Address(email.sender_name, "")
    return Address(email.sender_name or config.display_name, config.email_address)


def message(email_id: int, config: SmtpConfig) -> bytes:
    """RFC 5322 bytes with CRLF line ends, not dot-stuffed. NotFoundError when the content was erased."""
    letter = load([email_id]).get(email_id)
    if letter is None:
        raise NotFoundError("the content of this email was erased")
    return build(mail_of(letter, config))


def mail_of(letter: Letter, config: SmtpConfig | None) -> Mail:
    """Without a config, and with no sender of its own, it has none yet."""
    return Mail(
        sender=sender_of(letter, config),
        to=[address for kind, address in letter.people if kind == "to"],
        cc=[address for kind, address in letter.people if kind == "cc"],
        reply_to=[Address(*pair) for pair in letter.reply_to],
        subject=letter.subject,
        message_id=letter.message_id,
        date=letter.created_at,
        seed=f"{letter.id}.{letter.created_at}",
        text=_text(letter),
        html=letter.html,
        headers=[(name, value) for name, value in letter.headers],
        attachments=_attachments(letter.id) if letter.has_attachments else [],
    )


def _text(letter: Letter) -> str | None:
    """Derived from the html when the app gave none: some readers, and most spam filters, want one."""
    if letter.text is None and letter.html is not None:
        return html_to_text(letter.html)
    return letter.text


def _attachments(email_id: int) -> list[Attachment]:
    return [
        Attachment(filename, content_type, bytes(data), content_id)
        for filename, content_type, content_id, data in rows(
            "SELECT filename, content_type, content_id, data FROM attachments JOIN blobs ON blobs.id = blob_id"
            " WHERE email_id = ? ORDER BY position",
            email_id,
        )
    ]
