"""An attachment's bytes, from its mail server to whoever asks, a chunk at a time. Nothing of it is kept here."""

from __future__ import annotations

import binascii
import logging
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace

from models.account import Account
from models.inbox import Letter, Part
from services import pop3
from services.errors import BusyError, MailServerError, NotFoundError
from services.imap import Client, ImapError, Limits, section
from services.imap_endpoints import logged_in_with
from services.inbox.connections import connection, failed, usable_secret
from services.inbox.copies import Copy, copy_of, select_folder
from services.inbox.detail import filename_of
from services.relay import Relay
from services.sync.whole import section_of
from utils.pool import NoPlaceError

log = logging.getLogger("mailferry.inbox")

AHEAD = 1_000_000  # bytes that are read before an answer begins
PATIENCE = 3.0  # seconds, for other downloads to end
SECONDS = 3_600.0  # at the longest
POP3_LIMITS = Limits(
    connect=20.0, greeting=30.0, command=60.0, whole=1_800.0
)  # all of a message is one answer
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)
_LONGEST_LINE = 65_536  # of quoted-printable; the longest that is allowed has 76 characters


@dataclass(frozen=True, slots=True)
class Download:
    """`chunks` hold a connection when `size` is None: exhaust or close them."""

    filename: str
    mime_type: str
    chunks: Generator[bytes]
    size: int | None


def download(relay: Relay, account_id: str, part_id: int, now: int) -> Download:
    """NotFoundError when it is not there, or no longer; MailServerError when the server does not give it now;
    BusyError while others load."""
    part, copy = _found(account_id, part_id)
    account = Account.get_or_none(Account.id == account_id, Account.deleted_at.is_null())
    if account is None:
        raise NotFoundError(f"no account {account_id}")
    part_of = _from_imap if account.protocol == "imap" else _from_pop3
    chunks, size = read_ahead(_chunks(relay, account, part, part_of(relay, account, part, copy, now)))
    return Download(filename_of(part), part.mime_type, chunks, size)


def _found(account_id: str, part_id: int) -> tuple[Part, Copy]:
    part: Part | None = Part.get_or_none(Part.id == part_id)
    copy = copy_of(account_id, part.letter_id) if part else None
    if part is None or copy is None:
        raise NotFoundError(f"no attachment {part_id}")
    return part, copy


def read_ahead(chunks: Generator[bytes]) -> tuple[Generator[bytes], int | None]:
    """What is small is read whole, and its size known: it holds no connection while somebody loads it slowly, and
    what fails, fails before an answer has begun. Of the rest the size is None."""
    begun: list[bytes] = []
    read = 0
    for chunk in chunks:
        begun.append(chunk)
        read += len(chunk)
        if read > AHEAD:
            return _after(begun, chunks), None
    return _after(begun, chunks), read


def _after(begun: list[bytes], chunks: Generator[bytes]) -> Generator[bytes]:
    """A generator, since the server hangs up on us only when those who stop reading can close it."""
    yield from begun
    yield from chunks


def _chunks(relay: Relay, account: Account, part: Part, encoded: Generator[bytes]) -> Generator[bytes]:
    try:
        relay.downloads.take(account.id, PATIENCE)
    except NoPlaceError:
        raise BusyError("too many downloads at a time: try again in a moment") from None
    try:
        yield from decoded(part.encoding, encoded)
    except MailServerError as error:
        log.warning("action=download_failed account=%s part=%s error=%s", account.id, part.id, error)
        raise
    finally:
        encoded.close()  # with its connection
        relay.downloads.leave(account.id)


def _from_imap(relay: Relay, account: Account, part: Part, copy: Copy, now: int) -> Generator[bytes]:
    with connection(relay, account, SECONDS, now) as client:
        select_folder(client, copy)
        yield from _section(client, copy.uid, part.section)


def _section(client: Client, uid: int, name: str) -> Iterator[bytes]:
    try:
        yield from section(client, uid, name)
    except ImapError as error:
        if error.code == "NONEXISTENT":
            raise NotFoundError(str(error)) from None
        raise


def _from_pop3(relay: Relay, account: Account, part: Part, copy: Copy, now: int) -> Generator[bytes]:
    """The message comes as far as the part goes, for POP3 knows no parts."""
    letter = Letter.get_by_id(part.letter_id)
    limits = replace(POP3_LIMITS, answer=2 * letter.size + 1_000_000)
    secret = usable_secret(relay, account)
    try:
        with logged_in_with(
            relay, account, secret, lambda endpoint: pop3.Client.open(endpoint, limits)
        ) as client:
            number = client.number_of(letter.server_id or "")
            if number is None:
                raise NotFoundError("the mail server no longer has the message")
            yield from section_of(client.message(number), part.section)
    except ImapError as error:
        raise failed(account, error, now) from error


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
