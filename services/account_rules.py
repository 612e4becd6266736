"""What an account may say: what it needs, normal forms, and where a tenant may aim it."""

from __future__ import annotations

import re
from typing import Any

from services.errors import FieldError, InvalidInputError
from services.hosts import normal_host
from utils.addresses import AddressError, parse_address

DEFAULTS: dict[str, Any] = {
    "encryption": "tls", "verify_tls": True, "is_sync_enabled": True, "sync_interval": 300, "is_enabled": True,
    "sent_copy": "auto",
}  # fmt: skip
FIELDS = ("name", "email_address", "protocol", "hostname", "port", "username", *DEFAULTS)
SPOKEN = {
    "name": "accountName", "email_address": "emailAddress", "verify_tls": "verifyTls",
    "is_sync_enabled": "isSyncEnabled", "sync_interval": "syncInterval", "is_enabled": "isEnabled",
    "sent_copy": "sentCopy",
}  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def checked(fields: dict[str, Any], allow_private: bool) -> dict[str, Any]:
    """The fields in normal form; InvalidInputError with every one that is wrong or missing."""
    wrong: list[FieldError] = []
    fields = {**DEFAULTS, **fields}
    missing = [name for name in FIELDS if fields.get(name) in (None, "")]
    wrong += [FieldError(SPOKEN.get(name, name), "is needed", "MISSING") for name in missing]
    if fields.get("email_address"):
        fields["email_address"] = normal_address(fields["email_address"], wrong)
    if fields.get("hostname"):
        fields["hostname"] = normal_host(fields["hostname"], not allow_private, "hostname", wrong)
    for name in ("name", "username"):
        if _CONTROL.search(fields.get(name) or ""):
            message = "must not hold control characters"
            wrong.append(FieldError(SPOKEN.get(name, name), message, "INVALID_CHARACTER"))
    if wrong:
        raise InvalidInputError.of(wrong)
    return {name: fields[name] for name in FIELDS}


def normal_address(text: str, wrong: list[FieldError]) -> str:
    try:
        address = parse_address(text)
    except AddressError as exc:
        wrong.append(FieldError("emailAddress", str(exc), "INVALID_EMAIL_FORMAT"))
        return text
    if address.name:
        wrong.append(FieldError("emailAddress", "takes no name; that is accountName", "INVALID_EMAIL_FORMAT"))
    return address.email
