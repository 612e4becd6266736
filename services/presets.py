"""What well-known providers want: host, port, TLS, and the limits of their usual plans.

Limits are those that providers publish for ordinary paid or personal plans; 0 where the plan decides. A field
given beside `provider` wins. To add a provider, add a line here and its name to the schema of SMTP configs.
"""

from __future__ import annotations

from typing import Any

_STARTTLS = {"smtp_port": 587, "use_tls": True, "use_ssl": False}
_IMPLICIT = {"smtp_port": 465, "use_tls": False, "use_ssl": True}

PRESETS: dict[str, dict[str, Any]] = {
    "gmail": {"smtp_host": "smtp.gmail.com", **_STARTTLS, "daily_limit": 500, "limit_unit": "recipients"},
    "outlook": {
        "smtp_host": "smtp.office365.com", **_STARTTLS,
        "hourly_limit": 1_800, "daily_limit": 10_000, "limit_unit": "recipients", "max_connections": 3,
    },
    "icloud": {
        "smtp_host": "smtp.mail.me.com", **_STARTTLS, "daily_limit": 1_000, "limit_unit": "recipients",
    },
    "yahoo": {
        "smtp_host": "smtp.mail.yahoo.com", **_IMPLICIT,
        "hourly_limit": 100, "daily_limit": 500, "limit_unit": "recipients",
    },
    "ses": {"smtp_host": "email-smtp.us-east-1.amazonaws.com", **_STARTTLS, "limit_unit": "recipients"},
    "sendgrid": {"smtp_host": "smtp.sendgrid.net", **_STARTTLS, "username": "apikey", "limit_unit": "recipients"},
    "mailgun": {"smtp_host": "smtp.mailgun.org", **_STARTTLS, "limit_unit": "recipients"},
    "postmark": {"smtp_host": "smtp.postmarkapp.com", **_STARTTLS, "limit_unit": "recipients"},
    "fastmail": {
        "smtp_host": "smtp.fastmail.com", **_IMPLICIT,
        "hourly_limit": 2_000, "daily_limit": 4_000, "limit_unit": "recipients",
    },
    "zoho": {
        "smtp_host": "smtp.zoho.com", **_IMPLICIT,
        "hourly_limit": 50, "daily_limit": 500, "limit_unit": "recipients",
    },
    "custom": {},
}  # fmt: skip

PROVIDERS = tuple(PRESETS)


def filled(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields without `provider`, and with what it brings where they leave it open."""
    fields = {**fields}
    preset = PRESETS[fields.pop("provider", None) or "custom"]
    if "use_tls" in fields or "use_ssl" in fields or "smtp_port" in fields:
        # port and TLS go together: half of a preset would be a pair that no server offers
        preset = {
            name: value for name, value in preset.items() if name not in ("use_tls", "use_ssl", "smtp_port")
        }
    return preset | fields
