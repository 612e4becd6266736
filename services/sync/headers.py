"""What a message's header says. Strangers wrote it: whatever is wrong in it, something readable comes out.

compat32 throughout, with every access wrapped: the newer policies of `email` raise on some real mail.
"""

from __future__ import annotations

import email
import re
from dataclasses import dataclass, field
from email.message import Message as Parsed
from email.utils import getaddresses, mktime_tz, parsedate_tz

from utils.mail_reader import encoded_words

Person = list[str]  # [name, address]

LONGEST_HEADER = 65_536  # bytes of a whole header; the rest is not asked for
LONGEST_TEXT = 2_000  # of a subject or name
MOST_PEOPLE = 500
MOST_REFERENCES = 100
_SURROGATES = re.compile("[\ud800-\udfff]")
_ENCODED_GAP = re.compile(r"(\?=)\s+(=\?)")
_SPACE = re.compile(r"\s+")
_LATEST = 253_402_300_799_000  # the year 9999


@dataclass(frozen=True, slots=True)
class Headers:
    """`recipients`: to, cc, bcc and reply_to, those that there are. `sent_at`: ms since the epoch."""

    raw: str
    message_id: str = ""
    in_reply_to: str = ""
    references: str = ""
    subject: str = ""
    sender: Person | None = None
    recipients: dict[str, list[Person]] = field(default_factory=dict)
    sent_at: int | None = None

    @property
    def people(self) -> str:
        everyone = [one for some in self.recipients.values() for one in some]
        return " ".join(
            dict.fromkeys(text for one in [self.sender or ["", ""], *everyone] for text in one if text)
        )


def read_headers(raw: bytes) -> Headers:
    """Never raises."""
    parsed = _parsed(raw)
    sender = _people(parsed, "From") or _people(parsed, "Sender")
    kinds = {"to": "To", "cc": "Cc", "bcc": "Bcc", "reply_to": "Reply-To"}
    return Headers(
        raw=_plain(raw),
        message_id=_first(parsed, "Message-ID")[:1_000],
        in_reply_to=_first(parsed, "In-Reply-To")[:1_000],
        references=" ".join(_first(parsed, "References").split()[-MOST_REFERENCES:])[:20_000],
        subject=decoded(_first(parsed, "Subject"))[:LONGEST_TEXT],
        sender=sender[0] if sender else None,
        recipients={kind: found for kind, name in kinds.items() if (found := _people(parsed, name))},
        sent_at=sent_date(_first(parsed, "Date")),
    )


def decoded(value: str) -> str:
    """Encoded words (RFC 2047) as text, on one line."""
    if "=?" not in value:
        return _one_line(value)
    try:
        pieces = encoded_words(_ENCODED_GAP.sub(r"\1 \2", value))
        return _one_line("".join(_piece(text, charset) for text, charset in pieces))
    except Exception:  # many kinds, by what is in it
        return _one_line(value)


def clean(text: str) -> str:
    """What both databases can hold."""
    return _SURROGATES.sub("\ufffd", text.replace("\0", ""))


def by_charset(raw: bytes, charset: str) -> str:
    """Never raises. Without a charset, or with a wrong one: UTF-8, else what Windows writes."""
    name = {"": "utf-8", "us-ascii": "utf-8", "ascii": "utf-8", "iso-8859-1": "cp1252"}.get(charset, charset)
    for one, errors in ((name, "strict"), ("utf-8", "strict"), ("cp1252", "replace")):
        try:
            return clean(raw.decode(one, errors))
        except (LookupError, ValueError, TypeError):  # TypeError: a codec that is none of text
            continue
    return clean(raw.decode("latin-1"))


def _parsed(raw: bytes) -> Parsed:
    try:
        return email.message_from_bytes(raw[:LONGEST_HEADER])
    except Exception:
        return Parsed()


def _first(parsed: Parsed, name: str) -> str:
    """Of a header that should be there once. Bytes over 127 are read as UTF-8, else as what Windows writes."""
    try:
        value = next((raw for key, raw in parsed.raw_items() if key.lower() == name.lower()), "")
        return _one_line(by_charset(str(value).encode("utf-8", "surrogateescape"), ""))
    except Exception:
        return ""


def _people(parsed: Parsed, name: str) -> list[Person]:
    text = _first(parsed, name)
    if not text:
        return []
    try:
        pairs = getaddresses([text[:30_000]])
    except Exception:  # such as parentheses nested too deeply
        return [[decoded(text)[:LONGEST_TEXT], ""]]
    people = [[decoded(shown)[:LONGEST_TEXT], _one_line(address)[:1_000]] for shown, address in pairs]
    return [one for one in people if any(one)][:MOST_PEOPLE]


def sent_date(text: str) -> int | None:
    """ms since the epoch, of a date as in RFC 5322; None for what is none."""
    try:
        told = parsedate_tz(text)
        at = round(mktime_tz(told) * 1000) if told else None
    except Exception:
        return None
    return at if at is not None and 0 <= at <= _LATEST else None


def _piece(text: str | bytes, charset: str | None) -> str:
    return by_charset(text, (charset or "").lower()) if isinstance(text, bytes) else text


def _one_line(text: str) -> str:
    return _SPACE.sub(" ", clean(text)).strip()


def _plain(raw: bytes) -> str:
    return by_charset(raw[:LONGEST_HEADER].rstrip(b"\r\n"), "")
