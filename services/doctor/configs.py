"""Active SMTP configs: their DNS, connection, TLS and login, tried as a delivery would. Sends nothing.

Those that were made for mail accounts are their users' affair, and may be many: only those whose last connection failed
are tried, and none of them fails the whole examination.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from models.account import Account, AccountState
from models.smtp_config import Health, SmtpConfig
from services.config_test import run_test
from services.doctor.check import Check, fail, ok, warn
from services.presence import running
from services.readiness import standing_hold
from services.relay import Relay

_CERTIFICATE_DAYS = 14
_ADVICE = {
    "dns": "check smtp_host, and this machine's resolver",
    "connect": "check smtp_port, and that no firewall is in the way: many networks block 25 and leave 587 and 465 open",
    "tls": "check use_tls (STARTTLS, 587) and use_ssl (465), the certificate's name and date, and this machine's clock",
    "banner": "check smtp_port and the TLS mode; a server that refuses says why",
    "ehlo": "the server's own words say why; it may limit or block this machine",
    "auth": "check username and password; many providers want an app password",
}
_MOST_TRIED = 20
_ITS_USER = "its user changes `smtp` or the login of the account; try it by python app.py accounts test"
_ADD_ONE = "add an account: python app.py configs add --help"


def check(relay: Relay, now: int) -> Iterator[Check]:
    ordinary = SmtpConfig.select().where(SmtpConfig.active, SmtpConfig.account_id.is_null())
    configs = list(ordinary.order_by(SmtpConfig.id))
    of_accounts = SmtpConfig.select().where(SmtpConfig.active, SmtpConfig.account_id.is_null(False)).count()
    but = ", but for what is pinned to those of mail accounts" if of_accounts else ""
    if not configs:
        yield warn("configs", f"no SMTP config is active: no mail can be delivered{but}", _ADD_ONE)
    elif all(config.sandbox for config in configs):
        yield warn("configs", f"only the sandbox is there: it catches mail, and delivers none{but}", _ADD_ONE)
    for config in configs:
        yield _config(relay, config, now)
    if of_accounts:
        yield from _of_accounts(relay, of_accounts, now)


def _of_accounts(relay: Relay, count: int, now: int) -> Iterator[Check]:
    """An account that waits for a login is told of elsewhere."""
    ill = (
        SmtpConfig.select()
        .join(Health, on=(Health.smtp_config_id == SmtpConfig.id))
        .switch(SmtpConfig)
        .join(Account, on=(Account.id == SmtpConfig.account_id))
        .where(SmtpConfig.active, Health.failures > 0, Account.state == AccountState.ACTIVE)
        .order_by(SmtpConfig.id)
    )
    found = list(ill.limit(_MOST_TRIED))
    yield ok(
        "configs of accounts", f"{count} are active, {len(found)} tried, since their last connection failed"
    )
    for config in found:
        name = f"config {config.id} (of account {config.account_id}, {config.email_address})"
        result = run_test(relay, config, None, now)
        told = "; ".join(f"{step['step']}: {step['detail']}" for step in result["steps"])
        yield ok(name, told) if result["ok"] else warn(name, told, f"{_ITS_USER} {config.account_id}")


def _config(relay: Relay, config: SmtpConfig, now: int) -> Check:
    name = f"config {config.id} ({config.name})"
    if config.sandbox and relay.policy.sandbox_port is None:
        return warn(name, "SANDBOX=off, so nothing answers there", "deactivate it, or set SANDBOX=on")
    if config.sandbox and not running(relay.policy, now):
        return ok(name, "not tried: the sandbox runs only while the relay does")
    result = run_test(relay, config, None, now)
    told = [f"{step['step']}: {step['detail']}" for step in result["steps"]]
    if not result["ok"]:
        return fail(name, "; ".join(told), _ADVICE.get(result["steps"][-1]["step"], ""))
    return _weakness(name, config, told, result["certificate"], now)


def _weakness(
    name: str, config: SmtpConfig, told: list[str], certificate: dict[str, Any] | None, now: int
) -> Check:
    """The config works: what soon may not, or should not be so."""
    if certificate is not None:
        told.append(f"{certificate['days_left']} days left")
        if certificate["days_left"] < _CERTIFICATE_DAYS:
            return warn(name, "; ".join(told), "whoever runs the server must renew its certificate")
        if not config.verify_tls:
            return warn(name, "; ".join(told), "its certificate is not verified: set verify_tls")
    elif config.username:
        return warn(name, "; ".join(told), "the password travels unencrypted: set use_tls or use_ssl")
    health = Health.get_or_none(Health.smtp_config_id == config.id)
    hold = standing_hold(config, health, now) if health else None
    if hold is not None:
        told.append(f"it answers, but rests: {hold.kind}, {hold.detail}")
        return warn(name, "; ".join(told), f"POST /api/smtp-configs/{config.id}/resume lifts that")
    return ok(name, "; ".join(told))
