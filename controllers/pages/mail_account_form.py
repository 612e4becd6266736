"""The form of a mail account: from and to the bodies of the API. Fields of its SMTP settings begin with `smtp.`."""

from __future__ import annotations

import re
from typing import Any

from flask import request

from services import presets
from services.account_presets import HOSTS
from services.errors import ServiceError

_NUMBERS = ("port", "syncInterval")
_SMTP_NUMBERS = ("port", "hourlyLimit", "dailyLimit")
_TICKS = ("verifyTls", "isSyncEnabled")
_TEXTS = ("accountName", "emailAddress", "hostname", "encryption", "username", "password", "sentCopy")
_SMTP_TEXTS = ("hostname", "encryption", "username", "password", "displayName")
_PORTS = {("imap", "tls"): 993, ("imap", "starttls"): 143, ("imap", "none"): 143}
_PORTS |= {("pop3", "tls"): 995, ("pop3", "starttls"): 110, ("pop3", "none"): 110}


def preset(provider: str, protocol: str = "imap") -> dict[str, Any]:
    """The form as it is for a new account of that provider; for '' of any server."""
    values: dict[str, Any] = {
        "protocol": protocol, "encryption": "tls", "isSyncEnabled": True, "verifyTls": True, "sentCopy": "auto",
        "syncInterval": 300, "smtp": True, "smtp.encryption": "starttls", "smtp.port": 587, "smtp.verifyTls": True,
    }  # fmt: skip
    host = HOSTS.get(provider, {}).get(protocol)
    if host is None:
        return values
    smtp = presets.PRESETS[provider]
    return values | {
        "provider": provider, "hostname": host, "port": _PORTS[protocol, "tls"],
        "accountName": provider.capitalize(), "smtp.hostname": smtp["smtp_host"], "smtp.port": smtp["smtp_port"],
        "smtp.encryption": "tls" if smtp["use_ssl"] else "starttls",
    }  # fmt: skip


def shown(account: dict[str, Any]) -> dict[str, Any]:
    """The form as it is for an account that is there."""
    smtp = account["smtp"] or {}
    return preset("", account["protocol"]) | account | {"smtp": bool(smtp)} | {
        f"smtp.{name}": smtp[name] for name in (*_SMTP_TEXTS, *_SMTP_NUMBERS, "verifyTls") if name in smtp
    }  # fmt: skip


def sent() -> dict[str, Any]:
    """The form as it was sent, to be shown again; ticks as truth values."""
    values: dict[str, Any] = {name: texts[-1] for name, texts in request.form.lists()}
    for name in (*_TICKS, "smtp", "smtp.verifyTls"):
        values[name] = values.get(name) == "on"
    return values


def new_body() -> dict[str, Any]:
    """Of POST /api/accounts. What is left empty follows from the rest: the username, and the port."""
    values = sent()
    body = _part(values, _TEXTS, _NUMBERS, "") | {name: values[name] for name in _TICKS}
    body["protocol"] = values.get("protocol", "imap")
    body.setdefault("username", body.get("emailAddress"))
    body.setdefault("port", _PORTS.get((body["protocol"], body.get("encryption", "tls"))))
    smtp = _part(values, _SMTP_TEXTS, _SMTP_NUMBERS, "smtp.") | {"verifyTls": values["smtp.verifyTls"]}
    body["smtp"] = smtp if values["smtp"] else None
    return body


def changed_body(account: dict[str, Any]) -> dict[str, Any]:
    """Of PUT /api/accounts/{id}: what differs from the account as it is."""
    new, before = new_body(), account["smtp"]
    fixed = ("protocol", "emailAddress")
    body = {
        name: value for name, value in new.items()
        if name not in (*fixed, "smtp") and (name == "password" or account.get(name) != value)
    }  # fmt: skip
    if new["smtp"] is None or before is None:
        return body | ({"smtp": new["smtp"]} if new["smtp"] != before else {})
    smtp = {
        name: value
        for name, value in new["smtp"].items()
        if name == "password" or (before.get(name) or "") != (value or "")
    }
    return body | ({"smtp": smtp} if smtp else {})


def wrong_fields(error: ServiceError | None) -> dict[str, str]:
    if error is None:
        return {}
    return {one.field: one.message for one in error.details} or (
        {error.field: error.message} if error.field else {}
    )


def _part(
    values: dict[str, Any], texts: tuple[str, ...], numbers: tuple[str, ...], before: str
) -> dict[str, Any]:
    """Those that are filled in, without the prefix."""
    told: dict[str, Any] = {}
    for name in (*texts, *numbers):
        text = str(values.get(before + name) or "")
        text = text if name == "password" else text.strip()
        if text:
            is_number = name in numbers and re.fullmatch(r"[0-9]{1,9}", text, re.ASCII)
            told[name] = int(text) if is_number else text
    return told
