"""From a leased email to what goes over the wire: its bytes and its envelope."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from models.trouble import STORAGE_ERRORS
from services import compose
from services.compose import Letter
from services.leased import Leased
from services.message_ids import bounce_address
from services.smtp import Envelope
from services.smtp.envelope import check_address
from utils.addresses import envelope as wire_address
from utils.addresses import needs_smtputf8 as address_needs_smtputf8
from utils.mime import Mail, build, needs_smtputf8

AHEAD = 1_000_000  # bytes of content that are read at once


@dataclass(frozen=True, slots=True)
class Prepared:
    """An email ready for the wire."""

    leased: Leased
    data: bytes
    envelope: Envelope


class UnbuildableError(Exception):
    """An email that can never be sent, whoever tries."""


class UnreadableError(Exception):
    """An email whose content the database does not give back now: no fault of its own, nor one of the others'."""


class Preparation:
    """Reads the contents of a batch together: one email at a time costs as much as building it."""

    def __init__(self) -> None:
        self._letters: dict[int, Letter | None] = {}

    def prepare(self, leased: Leased, after: Iterable[Leased]) -> Prepared:
        """UnbuildableError, UnreadableError. `after`: those whose turn comes next."""
        if not leased.recipients:
            raise UnbuildableError("no recipient is left to try")
        try:
            letter = self._read(leased, after)
            mail = compose.mail_of(letter, leased.config) if letter else None
            if mail is not None:
                return _built(leased, mail)
        except MemoryError:
            raise
        except STORAGE_ERRORS as exc:
            raise UnreadableError(f"its content could not be read: {exc}") from exc
        except Exception as exc:
            raise UnbuildableError(f"the message could not be built: {type(exc).__name__}") from exc
        raise UnbuildableError("the content of this email was erased")

    def _read(self, leased: Leased, after: Iterable[Leased]) -> Letter | None:
        if leased.email_id not in self._letters:
            ids = _worth_reading([leased, *after])
            try:
                self._letters = dict.fromkeys(ids) | compose.load(ids)
            except Exception:  # of one of them, which must not hold up the others
                self._letters = dict.fromkeys(ids[:1]) | compose.load(ids[:1])
        return self._letters[leased.email_id]


def _worth_reading(emails: list[Leased]) -> list[int]:
    """As many as fit, the first in any case."""
    ids, room = [emails[0].email_id], AHEAD - emails[0].size
    for one in emails[1:]:
        room -= one.size
        if room < 0:
            break
        ids.append(one.email_id)
    return ids


def _built(leased: Leased, mail: Mail) -> Prepared:
    data = build(mail)
    utf8 = needs_smtputf8(mail) or any(address_needs_smtputf8(address) for _, address in leased.recipients)
    sender = mail.sender.email
    if leased.config.verp and sender.lower() == leased.config.email_address.lower():
        sender = bounce_address(sender, mail.message_id)
    envelope = Envelope(
        sender=wire_address(sender, utf8),
        recipients=tuple([wire_address(address, utf8) for _, address in leased.recipients]),
        size=len(data),
        smtputf8=utf8,
    )
    for address in (envelope.sender, *envelope.recipients):
        check_address(address)
    return Prepared(leased, data, envelope)
