"""Header fields: what may stand in them, and how they are encoded and folded (RFC 5322, 2047, 2231, 6532).

Every function refuses CR, LF, NUL and other control characters, so that no caller can be made to inject.
A field is returned folded, without its last CRLF.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from utils.addresses import Address, AddressError, envelope
from utils.mime_encodings import MAX_WORD, encoded_words, extended_parameter

MAX_NAME = 76
MAX_VALUE = 10_000
FOLD_AT = 78
_LONGEST_TOKEN = 900  # octets; longer ones would break the 998 of a line, so they are encoded
_LONGEST_NAME = 70  # characters of a display name in one piece
_NAME_WORD = 60  # leaves room for "Reply-To: " in the 76 of a line with an encoded word

# Fields that the relay or a server on the way sets.
FORBIDDEN_HEADERS = frozenset(
    {
        "from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "mime-version",
        "dkim-signature", "domainkey-signature", "authentication-results", "received-spf",
        "return-path", "received", "delivered-to", "envelope-to", "x-original-to", "apparently-to",
    }
)  # fmt: skip
FORBIDDEN_PREFIXES = ("content-", "resent-", "arc-")

_FIELD_NAME = re.compile(r"[!-9;-~]+")
_REFUSED = re.compile("[\x00-\x08\x0a-\x1f\ud800-\udfff]")
_ASCII = re.compile(r"[\t -~]*")
_RAW_UTF8 = re.compile("[^\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]*")
_TOKEN = re.compile(r"[ \t]*[^ \t]+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_EMAIL = re.compile(r'(?:"[^"\\]+"|[^ \t\x7f<>()\[\],:;"\\@]+)@[^ \t\x7f<>()\[\],:;"\\@]+')
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,900}>")
_CONTENT_ID = re.compile(r"[!-;=?-~]{1,255}")
_MIME_WORD = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,127}"
_PARAMETER = rf'; ?{_MIME_WORD}=(?:{_MIME_WORD}|"[ !#-\[\]-~]*")'
_CONTENT_TYPE = re.compile(rf"{_MIME_WORD}/{_MIME_WORD}(?:{_PARAMETER})*")
_PLAIN_FILENAME = re.compile(r"[ !#-\[\]-~]{1,50}")


class HeaderError(ValueError):
    """A header that may not be sent; the message says why and is fit to show."""


def check_header(name: str, value: str) -> None:
    """Whether a sender may set this field. Raises HeaderError."""
    if len(name) > MAX_NAME or not _FIELD_NAME.fullmatch(name):
        raise HeaderError(f"not a header name: {name[:MAX_NAME]!r}")
    lower = name.lower()
    if lower in FORBIDDEN_HEADERS or lower.startswith(FORBIDDEN_PREFIXES):
        raise HeaderError(f"the header {name} may not be set")
    if len(value) > MAX_VALUE:
        raise HeaderError(f"the header {name} is longer than {MAX_VALUE} characters")
    refuse_controls(f"the header {name}", value)


def refuse_controls(what: str, value: str) -> None:
    if _REFUSED.search(value):
        raise HeaderError(f"{what} holds a line break, a control character or a broken one")


def check_content_id(content_id: str) -> None:
    if not _CONTENT_ID.fullmatch(content_id):
        raise HeaderError("a content id is up to 255 ASCII characters without spaces and angle brackets")


def unstructured(name: str, value: str, utf8: bool) -> str:
    refuse_controls(f"the header {name}", value)
    value = value.strip(" \t")
    allowed = _RAW_UTF8 if utf8 else _ASCII
    if not allowed.fullmatch(value) or "=?" in value:
        return _encoded(name, value)
    if len(name) + 2 + len(value) <= FOLD_AT:
        return f"{name}: {value}" if value else f"{name}:"
    tokens = _TOKEN.findall(f" {value}")
    if max(len(token.encode()) for token in tokens) > _LONGEST_TOKEN:
        return _encoded(name, value)
    return _folded(f"{name}:", tokens)


def _encoded(name: str, value: str) -> str:
    first = MAX_WORD + 1 - len(f"{name}: ")
    if first < 30:  # a very long name stands on a line of its own
        return "\r\n ".join([f"{name}:", *encoded_words(value)])
    return f"{name}: " + "\r\n ".join(encoded_words(value, first))


def _folded(line: str, tokens: Sequence[str]) -> str:
    """Tokens begin with their white space; the first always stays on the first line."""
    lines = []
    line += tokens[0]
    for token in tokens[1:]:
        if len(line) + len(token) > FOLD_AT:
            lines.append(line)
            line = token
        else:
            line += token
    return "\r\n".join([*lines, line])


def address_list(name: str, addresses: Sequence[Address], utf8: bool) -> str:
    tokens: list[str] = []
    for address in addresses:
        tokens += _mailbox(address, utf8)
        tokens[-1] += ","
    tokens[-1] = tokens[-1][:-1]
    return _folded(f"{name}:", tokens)


def _mailbox(address: Address, utf8: bool) -> list[str]:
    """The pieces of `name <email>` between which a line may break, each with its leading space."""
    refuse_controls("an address", address.email)
    refuse_controls("a name", address.name)
    if not _EMAIL.fullmatch(address.email):
        raise HeaderError(f"not an address: {address.email[:80]!r}")
    try:
        email = envelope(address.email, utf8)
    except AddressError as error:
        raise HeaderError(str(error)) from None
    name = address.name.strip()
    if not name:
        return [f" {email}"]
    allowed = _RAW_UTF8 if utf8 else _ASCII
    if len(name) > _LONGEST_NAME or "=?" in name or "\t" in name or not allowed.fullmatch(name):
        words = encoded_words(name, _NAME_WORD, _NAME_WORD)
        return [*(f" {word}" for word in words), f" <{email}>"]
    if not _ATOMS.fullmatch(name):
        name = '"' + name.replace("\\", r"\\").replace('"', r"\"") + '"'
    return [f" {name}", f" <{email}>"]


def message_id(value: str) -> str:
    if not _MESSAGE_ID.fullmatch(value):
        raise HeaderError("a message id is ASCII within angle brackets, without spaces")
    return f"Message-ID: {value}"


def content_type(value: str) -> str:
    """Unusable types become application/octet-stream, and so do message/* and multipart/*.

    Those may not be base64 (RFC 2046 5.2.1, RFC 2045 6.4), which every attachment is.
    """
    usable = len(value) <= 255 and _CONTENT_TYPE.fullmatch(value)
    if not usable or value.lower().startswith(("message/", "multipart/")):
        value = "application/octet-stream"
    return unstructured("Content-Type", value, utf8=False)


def disposition(kind: str, filename: str) -> str:
    """`Content-Disposition` with the file name; one that ASCII cannot carry plainly is sent both ways.

    The extended form (RFC 2231) comes first: readers that take the first of two names then take the true one.
    """
    refuse_controls("a file name", filename)
    filename = filename.strip()
    if not filename:
        return f"Content-Disposition: {kind}"
    if _PLAIN_FILENAME.fullmatch(filename) and "=?" not in filename:
        parameters = [f'filename="{filename}"']
    else:
        fallback = re.sub(r"[^ !#-<>-\[\]-~]", "_", filename)
        parameters = [*extended_parameter("filename", filename), f'filename="{fallback[-50:]}"']
    return ";\r\n ".join([f"Content-Disposition: {kind}", *parameters])
