"""Email addresses: parsing what people type, and the form that SMTP takes.

An address is kept in one canonical form: the local part as given (NFC when it is not ASCII), the domain in
lower-case A-labels (`xn--…`). So two spellings of a domain compare equal, and the whole address is ASCII
whenever its local part is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import email_validator
import idna
from email_validator import EmailNotValidError, validate_email

# An internal relay carries mail for .local, .test and the like; the library's documented way to allow them.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

MAX_EMAIL_OCTETS = 254  # RFC 5321 4.5.3.1.3 (256 with the angle brackets)
MAX_LOCAL_OCTETS = 64  # RFC 5321 4.5.3.1.1
MAX_NAME_CHARS = 255
MAX_TEXT_CHARS = 1_000  # a name of 255 escaped characters and the longest address fit well within
ECHO_CHARS = 80

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_PLAIN_LOCAL = re.compile(rf"{_ATEXT}++(?:\.{_ATEXT}++)*+")
# C0, DEL, C1, the two Unicode line breaks and lone surrogates: none may reach a header or an envelope.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NAMED = re.compile(r'(?:"((?:[^"\\]|\\.)*+)"|([^"<>]*)) *<([^<>]*)>')
_NAME_SPECIALS = re.compile(r'[()<>\[\]:;@\\,"]')
# A quoted local part may hold spaces and odd dots. Others (`>`, `@`, `,` …) have split envelopes in servers
# that read addresses carelessly, and nobody owns such a mailbox.
_SAFE_QUOTED = re.compile(rf'"(?:{_ATEXT}|[. ])+"')


class AddressError(ValueError):
    """Not an address that we can send to; the message says why and is fit to show."""


class Address(NamedTuple):
    name: str
    email: str


def parse_address(text: str) -> Address:
    """`ann@example.com`, `Ann <ann@example.com>` or `"Ann, B" <ann@example.com>`; raises AddressError."""
    if _CONTROL.search(text):
        raise _error("the address holds a control character or a broken one", text)
    text = text.strip(" ")
    if not text:
        raise AddressError("the address is empty")
    if len(text) > MAX_TEXT_CHARS:
        raise _error(f"the address is longer than {MAX_TEXT_CHARS} characters", text)
    try:
        return _named(text) if text.endswith(">") else Address("", _canonical(text))
    except AddressError as error:
        raise _error(str(error), text) from None


def split_list(text: str) -> list[str]:
    """As people write several into one field: parted by commas, semicolons or lines, but not within quotes."""
    parts: list[list[str]] = [[]]
    quoted = escaped = False
    for char in text:
        if char in ",;\r\n" and not quoted:
            parts.append([])
            continue
        parts[-1].append(char)
        quoted ^= char == '"' and not escaped
        escaped = char == "\\" and quoted and not escaped
    return [found for one in parts if (found := "".join(one).strip())]


def needs_smtputf8(email: str) -> bool:
    """Whether only a server with SMTPUTF8 (RFC 6531) can take this address."""
    return not email.rpartition("@")[0].isascii()


def domain_of(email: str) -> str:
    """The domain in lower-case A-labels."""
    return _ascii_domain(email.rpartition("@")[2])


def envelope(email: str, utf8: bool) -> str:
    """The address as MAIL and RCPT take it. `utf8`: the server offers SMTPUTF8.

    Without need there is no UTF-8: an ASCII local part goes with A-labels, so any server takes it.
    """
    local, _, domain = email.rpartition("@")
    if local.isascii():
        return f"{local}@{_ascii_domain(domain)}"
    if not utf8:
        raise _error("the server does not offer SMTPUTF8, which this address needs", email)
    return f"{local}@{_unicode_domain(_ascii_domain(domain))}"


def _named(text: str) -> Address:
    match = _NAMED.fullmatch(text)
    if not match:
        raise AddressError('not one address, as in Ann <ann@example.com> or "Ann, B" <ann@example.com>')
    quoted, bare, email = match.groups()
    if quoted is not None:
        name = re.sub(r"\\(.)", r"\1", quoted).strip()
    else:
        name = bare.strip()
        if _NAME_SPECIALS.search(name):
            raise AddressError('a name with any of ()<>[]:;@\\," needs double quotes; only one address fits')
    if len(name) > MAX_NAME_CHARS:
        raise AddressError(f"the name is longer than {MAX_NAME_CHARS} characters")
    return Address(name, _canonical(email.strip(" ")))


def _canonical(email: str) -> str:
    local, at, domain = email.rpartition("@")
    if not at:
        raise AddressError("the address has no @")
    if not _PLAIN_LOCAL.fullmatch(local):
        local = _unusual_local(local)
    if len(local.encode()) > MAX_LOCAL_OCTETS:
        raise AddressError(f"the part before the @ is longer than {MAX_LOCAL_OCTETS} octets")
    canonical = f"{local}@{_ascii_domain(domain)}"
    if len(canonical.encode()) > MAX_EMAIL_OCTETS:
        raise AddressError(f"the address is longer than {MAX_EMAIL_OCTETS} octets")
    return canonical


def _unusual_local(local: str) -> str:
    """A local part that is quoted, not ASCII, or wrong."""
    if local.startswith('"') and not _SAFE_QUOTED.fullmatch(local):
        raise AddressError("the quoted part before the @ may hold letters, digits, dots and spaces only")
    stand_in = f"{local}@example.com"  # the real domain is checked apart, in a cache
    try:
        return validate_email(
            stand_in, check_deliverability=False, globally_deliverable=False, allow_quoted_local=True
        ).local_part
    except EmailNotValidError as error:
        raise AddressError(_reason(error)) from None


@lru_cache(maxsize=4096)
def _ascii_domain(domain: str) -> str:
    try:
        checked = validate_email(f"a@{domain}", check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise AddressError(_reason(error)) from None
    if checked.ascii_domain.rpartition(".")[2].isdigit():
        raise AddressError("the domain is a number or an IP address")
    return checked.ascii_domain.lower()


@lru_cache(maxsize=4096)
def _unicode_domain(ascii_domain: str) -> str:
    return idna.decode(ascii_domain)


def _reason(error: EmailNotValidError) -> str:
    """The library's sentence in our style, bounded: it lists every character that it dislikes."""
    sentence = str(error).rstrip(".")
    return (sentence[:1].lower() + sentence[1:])[:160]


def _error(reason: str, text: str) -> AddressError:
    shown = text if len(text) <= ECHO_CHARS else text[:ECHO_CHARS] + "…"
    return AddressError(f"{reason}: {shown!r}")
