"""What an SMTP config may say: rules between its fields, normal forms, and where a tenant may aim it."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

from services.errors import FieldError, InvalidInputError
from utils.addresses import AddressError, domain_of, parse_address
from utils.net import is_private

DEFAULTS: dict[str, Any] = {
    "display_name": "", "username": None, "verify_tls": True, "active": True, "hourly_limit": 0, "daily_limit": 0,
    "limit_unit": "messages", "max_connections": 5, "max_messages_per_connection": 100, "weight": 1, "from_domains": [],
    "allow_any_sender": False, "shared": False,
}  # fmt: skip
FIELDS = ("name", "email_address", "smtp_host", "smtp_port", "use_tls", "use_ssl", *DEFAULTS)
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*\.?\Z")
_MAX_LABEL = 63
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def completed(fields: dict[str, Any]) -> dict[str, Any]:
    """With the defaults filled in. Port and TLS follow from each other: 465 is implicit TLS, else STARTTLS."""
    fields = {**DEFAULTS, **fields}
    port, starttls, implicit = (fields.get(name) for name in ("smtp_port", "use_tls", "use_ssl"))
    if implicit is None:
        implicit = port == 465 and not starttls
    if starttls is None:
        starttls = not implicit
    fields |= {"use_ssl": implicit, "use_tls": starttls}
    fields["smtp_port"] = port or (465 if implicit else 587)
    return fields


def checked(fields: dict[str, Any], tenant: str, allow_private: bool) -> dict[str, Any]:
    """The fields in normal form; InvalidInputError with every one that is wrong."""
    wrong: list[FieldError] = []
    fields = {**fields}
    missing = [name for name in ("name", "email_address", "smtp_host") if not fields.get(name)]
    wrong += [FieldError(name, "is needed", "MISSING") for name in missing]
    if fields.get("email_address"):
        fields["email_address"] = _address(fields["email_address"], wrong)
    if fields.get("smtp_host"):
        fields["smtp_host"] = _host(fields["smtp_host"], bool(tenant) and not allow_private, wrong)
    fields["from_domains"] = _domains(fields["from_domains"], wrong)
    if fields["use_tls"] and fields["use_ssl"]:
        wrong.append(
            FieldError("use_ssl", "use_tls (STARTTLS) and use_ssl (implicit TLS) exclude each other")
        )
    if fields.get("password") and not fields["username"]:
        wrong.append(FieldError("username", "a password needs a username", "MISSING"))
    if fields["shared"] and tenant:
        wrong.append(FieldError("shared", "only a config of the service can be shared"))
    for name in ("name", "display_name", "username"):
        if _CONTROL.search(fields.get(name) or ""):
            wrong.append(FieldError(name, "must not hold control characters", "INVALID_CHARACTER"))
    if wrong:
        raise InvalidInputError.of(wrong)
    return fields


def _address(text: str, wrong: list[FieldError]) -> str:
    try:
        address = parse_address(text)
    except AddressError as exc:
        wrong.append(FieldError("email_address", str(exc), "INVALID_EMAIL_FORMAT"))
        return text
    if address.name:
        wrong.append(
            FieldError("email_address", "takes no name; that is display_name", "INVALID_EMAIL_FORMAT")
        )
    return address.email


def _host(text: str, public_only: bool, wrong: list[FieldError]) -> str:
    """An IP address, or a name in ASCII. Names are held to the same rule at every connect, by their addresses."""
    host = text.strip().removeprefix("[").removesuffix("]").lower()
    try:
        host = str(ip_address(host))
    except ValueError:
        return _host_name(host, wrong)
    if public_only and is_private(host):
        wrong.append(
            FieldError("smtp_host", "a private address, which this account may not use", "PRIVATE_ADDRESS")
        )
    return host


def _host_name(host: str, wrong: list[FieldError]) -> str:
    try:
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        name = ""
    if not _HOST.match(name) or any(len(label) > _MAX_LABEL for label in name.split(".")):
        wrong.append(FieldError("smtp_host", "is not a host name or IP address", "INVALID_HOST"))
    return name


def _domains(texts: list[str], wrong: list[FieldError]) -> list[str]:
    """In the form that senders' domains are compared in."""
    domains = []
    for index, text in enumerate(texts):
        try:
            domains.append(domain_of(parse_address(f"postmaster@{text.strip().removeprefix('@')}").email))
        except AddressError:
            wrong.append(FieldError(f"from_domains.{index}", "is not a domain", "INVALID_DOMAIN"))
    return sorted(set(domains))
