"""Try an account as its sync would: connect, agree on TLS, log in, look around; then its own SMTP config."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from models.account import Account, AccountState
from models.database import FOR_UPDATE, row, write
from models.inbox import Role
from models.smtp_config import SmtpConfig
from services import config_test, pop3
from services.account_login import start_afresh
from services.config_test import Steps
from services.credentials import Secret, checked_password
from services.errors import FieldError, InvalidInputError
from services.imap import Client, Endpoint, ImapError, Limits, Listed, Reason
from services.imap_endpoints import NoTokenError, logged_in_with, stored_secret
from services.relay import Relay
from services.smtp import TlsInfo
from utils.clock import DAY, parse_iso

SHOWN = 10  # folders
_ORDER = {role: at for at, role in enumerate(Role)}
_INBOX = {"name": "INBOX", "displayName": "Inbox", "type": "inbox", "isSelectable": True, "parent": None}

Found = dict[str, Any]


def run_test(
    relay: Relay, account: Account, password: str | None, timeout: int, now: int,
    heard: Callable[[Found], None] = lambda step: None,
) -> tuple[bool, Found]:  # fmt: skip
    """Whether all of it works, and what to tell: as in the HTTP contract, with a `code` and a `message` that say what
    does not. `password`: to try instead of what is stored; it is not kept. `timeout` in seconds: for connecting, and
    once more for what is said then. `heard` is told each step when it is done, those of its SMTP server with `smtp`.

    InvalidInputError when there is nothing to log in with.
    """
    steps = Steps(heard)
    told: Found = {
        "success": True, "protocol": account.protocol, "server": f"{account.hostname}:{account.port}",
        "message": "Connection successful", "steps": steps.done, "timestamp": now,
    }  # fmt: skip
    try:
        secret = _secret(relay, account, password, steps)
        limits = Limits(connect=timeout, greeting=timeout, command=timeout, whole=timeout, session=timeout)
        look = _look_into_imap if account.protocol == "imap" else _look_into_pop3
        told |= logged_in_with(relay, account, secret, partial(look, limits=limits, steps=steps, now=now))
        _note_success(account, password, now)
    except ImapError as exc:
        steps.failed(_step_of(exc, steps), exc.detail)
        told |= _failure(exc.reason, _explained(exc))
    config = SmtpConfig.get_or_none(SmtpConfig.id == account.smtp_config_id)  # it may have gone meanwhile
    if config is not None:
        told |= _try_smtp(relay, account, config, password, told["success"], now, heard)
    return bool(told["success"]), told


def _secret(relay: Relay, account: Account, password: str | None, steps: Steps) -> Secret:
    if password is not None:
        return Secret("password", checked_password(password))
    secret = stored_secret(relay, account, insist=True)
    if secret is not None and secret.kind == "oauth2":
        steps.passed("token", "an access token is at hand")
    if secret is None:
        raise InvalidInputError.of(
            [FieldError("password", "is needed, since none is stored for this account", "MISSING")]
        )
    return secret


def _look_into_imap(endpoint: Endpoint, limits: Limits, steps: Steps, now: int) -> Found:
    with Client.open(endpoint, limits, steps.passed) as client:
        listed = sorted(client.folders(), key=lambda one: (_ORDER[one.role], one.name.casefold()))
        steps.passed("folders", f"{len(listed)} folders")
        return {
            "folders": len(listed),
            "folderDetails": [_folder(one) for one in listed[:SHOWN]],
            "capabilities": sorted(client.capabilities),
            "certificate": _certificate(client.tls_info, now),
        }


def _look_into_pop3(endpoint: Endpoint, limits: Limits, steps: Steps, now: int) -> Found:
    """Sync needs UIDL: without it nobody could tell which mail is new."""
    with pop3.Client.open(endpoint, limits, steps.passed) as client:
        count, _ = client.count()
        client.uids()
        steps.passed("messages", f"{count} messages")
        return {
            "folders": 1,
            "folderDetails": [_INBOX],
            "messages": count,
            "capabilities": sorted(client.capabilities),
            "certificate": _certificate(client.tls_info, now),
        }


def _folder(one: Listed) -> Found:
    parent = one.name.rpartition(one.separator)[0] if one.separator else ""
    return {
        "name": one.name,
        "displayName": "Inbox" if one.role is Role.INBOX else one.display_name,
        "type": str(one.role),
        "isSelectable": one.is_selectable,
        "parent": parent or None,
    }


def _certificate(tls: TlsInfo | None, now: int) -> Found | None:
    if tls is None:
        return None
    return {
        "subject": tls.subject, "issuer": tls.issuer, "expiresAt": tls.not_after,
        "daysLeft": (tls.not_after - now) // DAY, "tls": f"{tls.version} {tls.cipher}",
    }  # fmt: skip


def _note_success(account: Account, password: str | None, now: int) -> None:
    """What is stored logs in again: the sync that had given up goes on."""
    if password is None and account.state == AccountState.NEEDS_REAUTH:
        write(partial(_end_reauth, account.id, now))


def _end_reauth(account_id: str, now: int) -> None:
    """Unless something else has become of it meanwhile."""
    waits = "SELECT 1 FROM accounts WHERE id = ? AND state = ? AND deleted_at IS NULL"
    if row(f"{waits} {FOR_UPDATE}", account_id, AccountState.NEEDS_REAUTH):
        start_afresh(account_id, AccountState.ACTIVE, now)


def _explained(error: ImapError) -> str:
    return f"Invalid credentials: {error.detail}" if error.reason is Reason.AUTH else error.detail


def _failure(reason: str, message: str) -> Found:
    return {"success": False, "error": "Connection failed", "code": str(reason).upper(), "message": message}


def _step_of(error: ImapError, steps: Steps) -> str:
    """The one that could not be passed."""
    if isinstance(error, NoTokenError):
        return "token"
    if error.reason in (Reason.DNS, Reason.PRIVATE_ADDRESS):
        return "dns"
    if error.reason in (Reason.TLS, Reason.AUTH):
        return str(error.reason)
    passed = {one["step"] for one in steps.done}
    return next((one for one in ("dns", "connect", "banner", "auth") if one not in passed), "folders")


def _try_smtp(
    relay: Relay, account: Account, config: SmtpConfig, password: str | None, works: bool, now: int,
    heard: Callable[[Found], None],
) -> Found:  # fmt: skip
    """What is wrong with the account itself is told first."""
    shared = password if account.smtp_shares_login else None
    report = config_test.run_test(
        relay, config, None, now, shared, told=lambda step: heard(step | {"smtp": True})
    )
    smtp: Found = {
        "success": report["ok"],
        "server": f"{config.smtp_host}:{config.smtp_port}",
        "steps": report["steps"],
        "capabilities": sorted(report["capabilities"]),
        "certificate": _in_camel_case(report["certificate"]),
    }
    if report["ok"] or not works:
        return {"smtp": smtp}
    last = report["steps"][-1]
    return {"smtp": smtp} | _failure(f"smtp_{last['step']}", f"SMTP: {last['detail']}")


def _in_camel_case(certificate: Found | None) -> Found | None:
    if certificate is None:
        return None
    return {
        "subject": certificate["subject"], "issuer": certificate["issuer"], "tls": certificate["tls"],
        "expiresAt": parse_iso(certificate["expires_at"]), "daysLeft": certificate["days_left"],
    }  # fmt: skip
