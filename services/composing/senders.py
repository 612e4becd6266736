"""The account that mail is sent from."""

from __future__ import annotations

from models.account import Account
from models.smtp_config import SmtpConfig
from services.errors import ConflictError, NotFoundError
from services.principal import Principal


def own(who: Principal, account_id: str) -> Account:
    """An account of the user; NotFoundError when it is not there, or not theirs."""
    account: Account | None = Account.get_or_none(
        (Account.id == account_id)
        & (Account.tenant == who.tenant)
        & (Account.user == who.user)
        & Account.deleted_at.is_null()
    )
    if account is None:
        raise NotFoundError(
            f"accountId: no account {account_id}", code="ACCOUNT_NOT_FOUND", field="accountId"
        )
    return account


def ready(who: Principal, account_id: str) -> tuple[Account, SmtpConfig]:
    """An account that can send, and what it sends through. ConflictError, which says what to do, when it cannot."""
    account = own(who, account_id)
    if not account.is_enabled:
        raise ConflictError(
            "accountId: this account is switched off: set isEnabled to true to send from it",
            code="ACCOUNT_DISABLED", field="accountId",
        )  # fmt: skip
    config = SmtpConfig.get_or_none(SmtpConfig.id == (account.smtp_config_id or 0))
    if config is None:
        raise without_smtp(account.id)
    return account, config


def without_smtp(account_id: str) -> ConflictError:
    return ConflictError(
        f"accountId: this account has no SMTP settings to send through: add them with PUT /api/accounts/{account_id}",
        code="NO_SMTP_CONFIG", field="accountId",
    )  # fmt: skip
