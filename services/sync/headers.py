"""What a message's header says. Strangers wrote it: whatever is wrong in it, something readable comes out.

Fields are cut apart here. `email` would take a message's parts apart as well, at ten times the cost; and its newer
policies raise on some real mail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.utils import getaddresses, mktime_tz, parsedate_tz

from utils.mail_reader import encoded_words

Person = list[str]  # [name, address]

LONGEST_HEADER = 65_536  # bytes of a whole header; the rest is not asked for
LONGEST_TEXT = 2_000  # of a subject or name
MOST_PEOPLE = 500
MOST_REFERENCES = 100
_SURROGATES = re.compile("[\ud800-\udfff]")
_ENCODED_GAP = re.compile(r"(\?=)\s+(=\?)")
_END = re.compile(rb"(?:\A|\r?\n)\r?\n")
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:((?:.*)(?:\r?\n[ \t].*)*)", re.MULTILINE)
_READ = frozenset("from sender to cc bcc reply-to message-id in-reply-to references subject date".split())
_PLAIN_PERSON = re.compile(
    r" ?(?:(?P<shown>[^\x00-\x1f\"()<>\[\]:;@\\, ]+(?: [^\x00-\x1f\"()<>\[\]:;@\\, ]+)*)? ?"
    r"<(?P<address>[\w.+-]+@[\w-]+(?:\.[\w-]+)*)>|(?P<alone>[\w.+-]+@[\w-]+(?:\.[\w-]+)*)) ?",
    re.ASCII,
)
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
    told = _fields(raw[:LONGEST_HEADER])
    sender = _people(told, "from") or _people(told, "sender")
    kinds = {"to": "to", "cc": "cc", "bcc": "bcc", "reply_to": "reply-to"}
    return Headers(
        raw=_plain(raw),
        message_id=told.get("message-id", "")[:1_000],
        in_reply_to=told.get("in-reply-to", "")[:1_000],
        references=" ".join(told.get("references", "").split()[-MOST_REFERENCES:])[:20_000],
        subject=decoded(told.get("subject", ""))[:LONGEST_TEXT],
        sender=sender[0] if sender else None,
        recipients={kind: found for kind, name in kinds.items() if (found := _people(told, name))},
        sent_at=sent_date(told.get("date", "")),
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
    if text.isascii():
        return text.replace("\0", "")
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


def _fields(raw: bytes) -> dict[str, str]:
    """Those that we read, by their names in lower case; of one that comes several times the first."""
    head = _END.split(raw, maxsplit=1)[0]
    found: dict[str, str] = {}
    for name, value in _FIELD.findall(head):
        key = name.lower().decode("ascii")
        if key in _READ and key not in found:
            found[key] = _one_line(by_charset(value, ""))
    return found


def _people(told: dict[str, str], name: str) -> list[Person]:
    text = told.get(name, "")[:30_000]
    if not text:
        return []
    pairs = _plain_people(text)
    if pairs is None:
        try:
            pairs = getaddresses([text])
        except Exception:  # such as parentheses nested too deeply
            return [[decoded(text)[:LONGEST_TEXT], ""]]
    people = [[decoded(shown)[:LONGEST_TEXT], _one_line(address)[:1_000]] for shown, address in pairs]
    return [one for one in people if any(one)][:MOST_PEOPLE]


def _plain_people(text: str) -> list[tuple[str, str]] | None:
    """What `getaddresses` says of a list in which nothing is quoted, commented or grouped, as most are: that takes it
    a fifth of a millisecond. None where it has to be asked."""
    found = []
    for one in text.split(","):
        told = _PLAIN_PERSON.fullmatch(one)
        if told is None:
            return None
        found.append((told["shown"] or "", told["address"] or told["alone"]))
    return found


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
    return " ".join(clean(text).split())


def _plain(raw: bytes) -> str:
    return by_charset(raw[:LONGEST_HEADER].rstrip(b"\r\n"), "")
