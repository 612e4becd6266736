"""The bytes of an email, built when it is sent: the same bytes at every attempt and for `/raw`."""

from __future__ import annotations

from models.database import rows
from models.email import Content, Email
from models.smtp_config import SmtpConfig
from services.errors import NotFoundError
from utils.addresses import Address
from utils.html_text import html_to_text
from utils.mime import Attachment, Mail, build


def sender_of(email: Email, config: SmtpConfig | None) -> Address:
    """The From address: the email's own, else the config's."""
    if email.sender:
        return Address(email.sender_name, email.sender)
    if config is None:
        return Address(email.sender_name, "")
    return Address(email.sender_name or config.display_name, config.email_address)


def message(email: Email, config: SmtpConfig) -> bytes:
    """RFC 5322 bytes with CRLF line ends, not dot-stuffed. NotFoundError when the content was erased."""
    return build(mail_of(email, config))


def mail_of(email: Email, config: SmtpConfig) -> Mail:
    content = Content.get_or_none(Content.email_id == email.id)
    if content is None:
        raise NotFoundError("the content of this email was erased")
    people = rows("SELECT kind, name, address FROM recipients WHERE email_id = ? ORDER BY position", email.id)
    return Mail(
        sender=sender_of(email, config),
        to=[Address(name, address) for kind, name, address in people if kind == "to"],
        cc=[Address(name, address) for kind, name, address in people if kind == "cc"],
        reply_to=[Address(*pair) for pair in content.reply_to or []],
        subject=email.subject,
        message_id=email.message_id,
        date=email.created_at,
        seed=f"{email.id}.{email.created_at}",
        text=_text(content),
        html=content.html,
        headers=[(name, value) for name, value in content.headers or []],
        attachments=_attachments(email.id),
    )


def _text(content: Content) -> str | None:
    """Derived from the html when the app gave none: some readers, and most spam filters, want one."""
    if content.text is None and content.html is not None:
        return html_to_text(content.html)
    return str(content.text) if content.text is not None else None


def _attachments(email_id: int) -> list[Attachment]:
    return [
        Attachment(filename, content_type, bytes(data), content_id)
        for filename, content_type, content_id, data in rows(
            "SELECT filename, content_type, content_id, data FROM attachments JOIN blobs ON blobs.id = blob_id"
            " WHERE email_id = ? ORDER BY position",
            email_id,
        )
    ]
