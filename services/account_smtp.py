"""An account's own SMTP config: made from its SMTP settings, changed and removed with it. Mail is pinned to it, for it
takes none else; nobody but the account's user may do that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from models.account import Account
from models.database import row, rows, run, write
from models.smtp_config import SmtpConfig
from services import configs, credentials
from services.errors import ConflictError, FieldError, InvalidInputError
from services.relay import Relay

# Of `smtp` in the HTTP contract, by the word for it in a config.
SPOKEN = {
    "smtp_host": "smtp.hostname", "smtp_port": "smtp.port", "use_tls": "smtp.encryption", "use_ssl": "smtp.encryption",
    "email_address": "emailAddress", **{
        name: f"smtp.{spoken}" for name, spoken in (
            ("username", "username"), ("password", "password"), ("display_name", "displayName"),
            ("verify_tls", "verifyTls"), ("hourly_limit", "hourlyLimit"), ("daily_limit", "dailyLimit"),
        )
    },
}  # fmt: skip


def prepared(
    relay: Relay, tenant: str, account_id: str, values: dict[str, Any], settings: dict[str, Any]
) -> dict[str, Any]:
    """What `configs.add` takes: the settings (words of a config, and `provider`), completed from the account."""
    fields = {
        "name": _name(values["email_address"], account_id),
        "email_address": values["email_address"],
        "username": values["username"],
        **settings,
        "weight": 0,
    }
    with spoken():
        return configs.prepared(relay, tenant, fields) | {"account_id": account_id}


def shares_login(settings: dict[str, Any]) -> bool:
    """Whether they name no login, so that the account's own serves for both."""
    return not settings.keys() & {"username", "password"}


def change(relay: Relay, account: Account, settings: dict[str, Any], now: int) -> bool:
    """Change some settings of its config; whether that still shares the account's login. Inside a write job.

    A new server gets no copy of what is stored: it must come with its password, or wait for the account's next one.
    """
    assert account.smtp_config_id is not None
    configs.lock(account.smtp_config_id)
    config = SmtpConfig.get_by_id(account.smtp_config_id)
    with spoken():
        configs.change(relay, config, settings, now)
    return bool(account.smtp_shares_login) and shares_login(settings)


def remove(account: Account) -> None:
    """ConflictError while mail waits for it. Inside a write job."""
    if account.smtp_config_id is not None:
        configs.lock(account.smtp_config_id)
        configs.remove(account.smtp_config_id)


def prune() -> int:
    """Remove configs whose account is deleted, now that no mail waits for them any more; how many."""
    left = rows(
        "SELECT id FROM smtp_configs c WHERE account_id IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = c.account_id AND a.deleted_at IS NULL)"
    )
    return sum(write(partial(_prune, config_id), durable=True) for (config_id,) in left)


def removed_if_idle(account: Account) -> bool:
    """Accepted mail is never dropped: while some waits for the config, it stays, and takes no more."""
    return account.smtp_config_id is None or _removed_if_idle(account.smtp_config_id)


def goes_by_token(account: Account) -> bool:
    """Whether its SMTP config logs in by the account's own token."""
    return row("SELECT 1 FROM smtp_configs WHERE id = ? AND by_token", account.smtp_config_id) is not None


def _prune(config_id: int) -> bool:
    account = Account.get_or_none(Account.smtp_config_id == config_id)
    if account is not None:
        credentials.hold_owner(account.tenant, account.user)
    if not _removed_if_idle(config_id):
        return False
    if account is not None:
        credentials.forget_unshared(account)
    return True


def _removed_if_idle(config_id: int) -> bool:
    configs.lock(config_id)
    try:
        configs.remove(config_id)
    except ConflictError:
        return False
    run("UPDATE accounts SET smtp_config_id = NULL WHERE smtp_config_id = ?", config_id)
    return True


@contextmanager
def spoken() -> Iterator[None]:
    """Errors in the words of accounts."""
    try:
        yield
    except InvalidInputError as exc:
        raise InvalidInputError.of(
            [FieldError(SPOKEN.get(one.field, one.field), one.message, one.code) for one in exc.details]
        ) from None


def _name(address: str, account_id: str) -> str:
    """Unique in the tenant, whose other users may have the same address."""
    return f"{address[:80]} ({account_id.partition('-')[0]})"
