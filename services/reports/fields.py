"""Header fields and blocks of them, read as they come; nothing in here raises because of what they say."""

from __future__ import annotations

import re
from email.utils import getaddresses
from typing import NamedTuple

from services.suppressions import folded
from services.sync.headers import clean, decoded
from utils.addresses import MAX_EMAIL_OCTETS, AddressError, parse_address

LONGEST = 20_000  # characters of a block
_FIELD = re.compile(r"^([!-9;-~]+)[ \t]*:[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
_FOLD = re.compile(r"\n(?=[ \t])")
_UNITEXT = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
_COMMENT = re.compile(r"\([^()]*\)")


class Fields:
    """The fields of one block, by name in any case."""

    def __init__(self, text: str) -> None:
        self._found: dict[str, list[str]] = {}
        for name, value in _FIELD.findall(text[:LONGEST].replace("\r\n", "\n")):
            self._found.setdefault(name.lower(), []).append(decoded(_FOLD.sub("", value).strip()))

    def __bool__(self) -> bool:
        return bool(self._found)

    def get(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> list[str]:
        return self._found.get(name.lower(), [])

    def join(self, *names: str) -> str:
        return "\n".join(value for name in names for value in self.all(name))


class Typed(NamedTuple):
    kind: str  # rfc822, smtp, …
    value: str


def blocks(data: bytes) -> list[Fields]:
    """Of a delivery status or feedback report: groups of fields, parted by blank lines."""
    text = clean(data.decode("utf-8", "replace")).replace("\r\n", "\n")
    found = [Fields(one) for one in re.split(r"\n[ \t]*\n", text.strip("\n"))]
    return [one for one in found if one]


def head(data: bytes) -> Fields:
    """Of a message, whole or its header alone."""
    text = clean(data.decode("utf-8", "replace")).replace("\r\n", "\n").lstrip("\n")
    return Fields(text.partition("\n\n")[0])


def typed(value: str) -> Typed:
    """`rfc822; ann@example.com`, as RFC 3464 has it."""
    kind, semicolon, rest = value.partition(";")
    return Typed(kind.strip().lower(), rest.strip()) if semicolon else Typed("", value.strip())


def address_of(value: str) -> str:
    """From a recipient field, bare and in lower case where it is ASCII; '' for what is none. RFC 6533's escapes are
    undone."""
    kind, text = typed(value)
    if kind == "utf-8" or "\\x{" in text:
        text = clean(_UNITEXT.sub(lambda match: _character(match[1]), text))
    text = text.strip().strip("<>").strip()
    if "@" not in text:
        text = next((address for _, address in getaddresses([value]) if "@" in address), "")
    plain = "" if len(text) > MAX_EMAIL_OCTETS or any(one.isspace() for one in text) else text
    return plain if "@" in plain else ""


def canonical(address: str) -> str:
    """The form in which addresses of recipients are compared."""
    try:
        return folded(parse_address(address).email)
    except AddressError:
        return folded(address)


def addresses_in(*values: str) -> list[str]:
    """Of header fields that hold lists of people."""
    return [address for _, address in getaddresses(list(values)) if "@" in address]


def without_comments(value: str) -> str:
    return _COMMENT.sub("", value).strip()


def _character(digits: str) -> str:
    number = int(digits, 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else "\ufffd"
