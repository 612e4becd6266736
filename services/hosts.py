"""Names and addresses of mail servers: their one normal form, and which of them a tenant may name."""

from __future__ import annotations

import re
from ipaddress import ip_address

from services.errors import FieldError
from utils.net import is_private

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*\.?\Z")
_MAX_LABEL = 63


def normal_host(text: str, public_only: bool, field: str, wrong: list[FieldError]) -> str:
    """An IP address, or a name in ASCII. Names are held to the same rule at every connect, by their addresses."""
    host = text.strip().removeprefix("[").removesuffix("]").lower()
    try:
        host = str(ip_address(host))
    except ValueError:
        return _name(host, field, wrong)
    if public_only and is_private(host):
        wrong.append(
            FieldError(field, "a private address, which this account may not use", "PRIVATE_ADDRESS")
        )
    return host


def _name(host: str, field: str, wrong: list[FieldError]) -> str:
    try:
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        name = ""
    if not _HOST.match(name) or any(len(label) > _MAX_LABEL for label in name.split(".")):
        wrong.append(FieldError(field, "is not a host name or IP address", "INVALID_HOST"))
    return name
