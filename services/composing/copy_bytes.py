"""The copy of a sent email: the bytes that went out, and the blind recipients, whom its sender may want to look up."""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.account import Account
from models.email import Email
from models.smtp_config import SmtpConfig
from services import compose
from services.compose import Letter
from utils.addresses import Address, needs_smtputf8
from utils.mime import build
from utils.mime_headers import address_list


@dataclass(frozen=True, slots=True)
class Message:
    data: bytes
    message_id: str
    sent_at: int  # ms


def message_of(email_id: int, account: Account) -> Message | None:
    """None when the content was erased."""
    email = Email.get_or_none(Email.id == email_id)
    letter = compose.load([email_id]).get(email_id) if email is not None else None
    if email is None or letter is None:
        return None
    mail = compose.mail_of(letter, _carrier(email))
    if not mail.sender.email:  # its config is gone; it was the account's own
        mail = replace(mail, sender=Address(mail.sender.name, account.email_address))
    return Message(_bcc(letter) + build(mail), email.message_id, email.sent_at or email.updated_at)


def _carrier(email: Email) -> SmtpConfig | None:
    for one in (email.carrier_id, email.smtp_config_id):
        config: SmtpConfig | None = SmtpConfig.get_or_none(SmtpConfig.id == (one or 0))
        if config is not None:
            return config
    return None


def _bcc(letter: Letter) -> bytes:
    """A header of its own, which the message on the wire lacks."""
    blind = [address for kind, address in letter.people if kind == "bcc"]
    if not blind:
        return b""
    utf8 = any(needs_smtputf8(one.email) for one in blind)
    return address_list("Bcc", blind, utf8).encode() + b"\r\n"
