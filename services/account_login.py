"""How an account and its credential come together, and what follows when one of them changes. All of it inside write
jobs that hold the owner."""

from __future__ import annotations

from models.account import Account, AccountState, Credential
from models.database import run
from services import configs
from services.errors import ConflictError

# Whoever aims an account elsewhere must bring its credential again.
ENDPOINT_FIELDS = ("hostname", "port", "encryption", "username")


def endpoint_of(account: Account) -> str:
    """The server and the username, as one text."""
    return f"{account.encryption}://{account.username}@{account.hostname}:{account.port}"


def sharing(account: Account) -> list[Account]:
    """Other accounts of the user that name the same credential."""
    return list(
        Account.select().where(
            Account.tenant == account.tenant,
            Account.user == account.user,
            Account.credential_id == account.credential_id,
            Account.id != account.id,
            Account.deleted_at.is_null(),
        )
    )


def join(account: Account, credential: Credential | None, now: int) -> AccountState:
    """The account's state with the credential that it names. ConflictError when that serves another server."""
    here = endpoint_of(account)
    others = [endpoint_of(one) for one in sharing(account)]
    if any(one != here for one in others) or (credential and credential.endpoint not in (None, here)):
        raise ConflictError(
            "credentialId: this credential belongs to another server or username: store one for this account",
            code="CREDENTIAL_IN_USE", field="credentialId",
        )  # fmt: skip
    if credential is None:
        return AccountState.NEEDS_CREDENTIALS
    if credential.endpoint is None:
        _bind(credential, account)
        _hand_to_smtp(account, credential, now)
    return AccountState.ACTIVE


def credential_came(credential: Credential, now: int) -> None:
    """A secret was stored: the accounts that name it are on their way at once."""
    for account in _named_by(credential.tenant, credential.user, credential.id):
        if credential.endpoint is None:
            _bind(credential, account)
        if credential.endpoint != endpoint_of(account):
            continue
        _hand_to_smtp(account, credential, now)
        start_afresh(account.id, AccountState.ACTIVE, now)


def credential_went(tenant: str, user: str, credential_id: str, now: int) -> None:
    """The accounts that named it wait for another one; their SMTP configs lose it too."""
    for account in _named_by(tenant, user, credential_id):
        if account.smtp_shares_login and account.smtp_config_id is not None:
            configs.set_password(account.smtp_config_id, None, now)
        start_afresh(account.id, AccountState.NEEDS_CREDENTIALS, now)


def start_afresh(account_id: str, state: AccountState, now: int) -> None:
    """What failed with the old settings tells nothing about the new. A pass that runs with the old ones ends at its
    next commit, for its lease is gone; the next one is due at once."""
    run(
        "UPDATE accounts SET state = ?, last_error = NULL, failures = 0, next_sync_at = 0, lease = NULL,"
        " instance_id = NULL, updated_at = ? WHERE id = ?",
        state, now, account_id,
    )  # fmt: skip


def _bind(credential: Credential, account: Account) -> None:
    credential.endpoint = endpoint_of(account)
    run(
        'UPDATE credentials SET endpoint = ? WHERE tenant = ? AND "user" = ? AND id = ?',
        credential.endpoint, credential.tenant, credential.user, credential.id,
    )  # fmt: skip


def _hand_to_smtp(account: Account, credential: Credential, now: int) -> None:
    """Of a new secret, a copy for the account's own SMTP config where that has no login of its own; of tokens, the
    right to log in by them, for a copy would soon be stale."""
    if not account.smtp_shares_login or account.smtp_config_id is None:
        return
    if credential.kind == "password":
        configs.set_password(account.smtp_config_id, credential.secret, now)
    else:
        configs.set_by_token(account.smtp_config_id, now)


def _named_by(tenant: str, user: str, credential_id: str) -> list[Account]:
    query = Account.select().where(
        Account.tenant == tenant,
        Account.user == user,
        Account.credential_id == credential_id,
        Account.deleted_at.is_null(),
    )
    return list(query.order_by(Account.created_at, Account.id))
