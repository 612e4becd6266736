"""An attachment's bytes, from its mail server to whoever asks, a chunk at a time. Nothing of it is kept here."""

from __future__ import annotations

import binascii
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from models.account import Account
from models.inbox import Folder, Message, Part
from services.errors import MailServerError, NotFoundError
from services.imap import Client, ImapError, Limits, section, select
from services.imap_endpoints import open_account
from services.inbox.detail import filename_of
from services.relay import Relay

log = logging.getLogger("mailferry.inbox")

LIMITS = Limits(connect=20.0, greeting=30.0, command=60.0, whole=120.0)
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)
_LONGEST_LINE = 65_536  # of quoted-printable; the longest that is allowed has 76 characters


@dataclass(frozen=True, slots=True)
class Download:
    """`chunks` hold a connection, which ends with them: exhaust or close them."""

    filename: str
    mime_type: str
    chunks: Iterator[bytes]


def download(relay: Relay, account_id: str, part_id: int) -> Download:
    """NotFoundError when it is not there, or no longer; MailServerError when the server does not give it now."""
    part, place = _found(account_id, part_id)
    account = Account.get_or_none(Account.id == account_id, Account.deleted_at.is_null())
    if account is None:
        raise NotFoundError(f"no account {account_id}")
    if account.protocol != "imap":
        raise NotFoundError("attachments of POP3 accounts are not kept")
    return Download(filename_of(part), part.mime_type, _begun(_chunks(relay, account, part, place)))


def _found(account_id: str, part_id: int) -> tuple[Part, Message]:
    part: Part | None = Part.get_or_none(Part.id == part_id)
    place = _place(account_id, part.letter_id) if part else None
    if part is None or place is None:
        raise NotFoundError(f"no attachment {part_id}")
    return part, place


def _place(account_id: str, letter_id: int) -> Message | None:
    """Any of its copies."""
    copies = Message.select().where(
        Message.letter_id == letter_id, Message.account_id == account_id, Message.gone_at.is_null()
    )
    found: Message | None = copies.first()
    return found


def _begun(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """With the first of them read, so that what fails, fails before an answer has begun."""
    first = next(chunks, b"")
    return _after(first, chunks)


def _after(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """A generator, since the server hangs up on us only when those who stop reading can close it."""
    yield first
    yield from chunks


def _chunks(relay: Relay, account: Account, part: Part, place: Message) -> Iterator[bytes]:
    try:
        with open_account(relay, account, LIMITS) as client:
            _select(client, place)
            yield from decoded(part.encoding, section(client, place.uid, part.section))
    except ImapError as error:
        log.warning("action=download_failed account=%s part=%s error=%r", account.id, part.id, str(error))
        raise MailServerError(f"the mail server does not give it now: {error}") from error


def _select(client: Client, place: Message) -> None:
    folder = Folder.get_by_id(place.folder_id)
    if select(client, bytes(folder.raw_name)).uidvalidity != place.uidvalidity:
        raise NotFoundError("the folder was made anew since the last sync: sync it first")


def decoded(encoding: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Content-Transfer-Encoding undone (RFC 2045 6), wherever the chunks were cut. What is broken is passed over."""
    decode = {"base64": _base64, "quoted-printable": _quoted_printable}.get(encoding.lower())
    yield from decode(chunks) if decode else chunks


def _base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What is no base64 goes first, so that it shifts nothing. A single character at the end says nothing."""
    rest = b""
    for chunk in chunks:
        rest += chunk.translate(None, _NOT_BASE64)
        whole = len(rest) // 4 * 4
        if whole:
            yield binascii.a2b_base64(rest[:whole])
        rest = rest[whole:]
    if len(rest) > 1:
        yield binascii.a2b_base64(rest + b"=" * (4 - len(rest)))


def _quoted_printable(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        whole, end, rest = (rest + chunk).rpartition(b"\n")
        if len(rest) > _LONGEST_LINE:  # without a line end; an escape that is begun waits for its end
            cut = len(rest) if b"=" not in rest[-2:] else rest.rindex(b"=")
            end, rest = end + rest[:cut], rest[cut:]
        yield binascii.a2b_qp(whole + end)
    yield binascii.a2b_qp(rest)
