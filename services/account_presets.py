"""What well-known providers want of a mail client: host, port and TLS for IMAP and POP3.

A field given beside `provider` wins. To add a provider, add a line here, its name to the schema of accounts, and its
SMTP server to `services/presets.py`.
"""

from __future__ import annotations

from typing import Any

from services.errors import FieldError, InvalidInputError

HOSTS: dict[str, dict[str, str]] = {
    "gmail": {"imap": "imap.gmail.com", "pop3": "pop.gmail.com"},
    "outlook": {"imap": "outlook.office365.com", "pop3": "outlook.office365.com"},
    "icloud": {"imap": "imap.mail.me.com"},
    "yahoo": {"imap": "imap.mail.yahoo.com", "pop3": "pop.mail.yahoo.com"},
    "fastmail": {"imap": "imap.fastmail.com", "pop3": "pop.fastmail.com"},
    "zoho": {"imap": "imap.zoho.com", "pop3": "pop.zoho.com"},
}
PROVIDERS = tuple(HOSTS)
_IMPLICIT_TLS = {"imap": 993, "pop3": 995}


def filled(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields without `provider`, and with what it brings where they leave it open. Its SMTP server is part of that,
    unless `smtp` is given, if only as None."""
    fields = {**fields}
    provider = fields.pop("provider", None)
    if provider is None:
        return fields
    protocol = fields["protocol"]
    host = HOSTS[provider].get(protocol)
    if host is None:
        raise InvalidInputError.of([FieldError("protocol", f"{provider} does not offer {protocol}")])
    preset = {"hostname": host, "username": fields["email_address"], "smtp": {}}
    if "port" not in fields and "encryption" not in fields:
        # they go together: half of a preset would be a pair that no server offers
        preset |= {"port": _IMPLICIT_TLS[protocol], "encryption": "tls"}
    merged = preset | fields
    if merged["smtp"] is not None:
        merged["smtp"] = {"provider": provider, **merged["smtp"]}
    return merged
