"""What an SMTP config may say: rules between its fields, normal forms, and where a tenant may aim it."""

from __future__ import annotations

import re
from typing import Any

from services.errors import FieldError, InvalidInputError
from services.hosts import normal_host
from utils.addresses import AddressError, domain_of, parse_address

DEFAULTS: dict[str, Any] = {
    "display_name": "", "username": None, "verify_tls": True, "active": True, "hourly_limit": 0, "daily_limit": 0,
    "limit_unit": "messages", "max_connections": 5, "max_messages_per_connection": 100, "weight": 1, "from_domains": [],
    "allow_any_sender": False, "shared": False, "verp": False,
}  # fmt: skip
FIELDS = ("name", "email_address", "smtp_host", "smtp_port", "use_tls", "use_ssl", *DEFAULTS)
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
        public_only = bool(tenant) and not allow_private
        fields["smtp_host"] = normal_host(fields["smtp_host"], public_only, "smtp_host", wrong)
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


def _domains(texts: list[str], wrong: list[FieldError]) -> list[str]:
    """In the form that senders' domains are compared in."""
    domains = []
    for index, text in enumerate(texts):
        try:
            domains.append(domain_of(parse_address(f"postmaster@{text.strip().removeprefix('@')}").email))
        except AddressError:
            wrong.append(FieldError(f"from_domains.{index}", "is not a domain", "INVALID_DOMAIN"))
    return sorted(set(domains))
