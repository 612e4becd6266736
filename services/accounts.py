"""Mail accounts of a tenant's users: made, found, changed, deleted."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from typing import Any

from models.account import Account, AccountState
from models.database import row, run, write
from services import account_rules, account_smtp, configs, credentials
from services.account_login import ENDPOINT_FIELDS, join, sharing, start_afresh
from services.account_presets import filled
from services.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from services.principal import Principal
from services.relay import Relay
from utils.clock import SECOND

log = logging.getLogger("mailferry.accounts")

_IMMUTABLE = {"email_address": "EMAIL_IMMUTABLE", "protocol": "PROTOCOL_IMMUTABLE"}


class DuplicateEmailError(ConflictError):
    title, code = "Email conflict", "EMAIL_DUPLICATE"


@dataclass(frozen=True, slots=True)
class _Login:
    """What a request brings to log in by: the id of a credential, or a secret, sealed already; or neither."""

    credential_id: str | None
    sealed: credentials.Sealed | None


def find(who: Principal, account_id: str) -> Account:
    """NotFoundError unless it is there, is not deleted, and belongs to who asks."""
    account: Account | None = Account.get_or_none(Account.id == account_id, *_visible(who))
    if account is None:
        raise NotFoundError(f"no account {account_id}")
    return account


def listed(who: Principal, limit: int, offset: int) -> tuple[list[Account], int]:
    """A page of accounts in the order they were made, and how many there are."""
    query = Account.select().where(*_visible(who))
    page = query.order_by(Account.created_at, Account.id).limit(limit).offset(offset)
    return list(page), query.count()


def create(relay: Relay, who: Principal, fields: dict[str, Any], now: int) -> Account:
    """`fields` as in the HTTP contract, in our words; `provider`, `smtp`, and one of `credential_id` and `password`."""
    fields = filled(fields)
    smtp, login = fields.pop("smtp", None), _login(relay, fields)
    values = account_rules.checked(fields, relay.policy.allow_private_hosts)
    account_id = str(uuid.uuid4())
    config = None if smtp is None else account_smtp.prepared(relay, who.tenant, account_id, values, smtp)

    def job() -> Account:
        credentials.hold_owner(who.tenant, who.user)
        _check_address_free(who, values["email_address"])
        account = Account.create(
            id=account_id, tenant=who.tenant, user=who.user, state=AccountState.NEEDS_CREDENTIALS,
            credential_id=login.credential_id or str(uuid.uuid4()), created_at=now, updated_at=now, **values,
        )  # fmt: skip
        if config is not None:
            _give_config(account, config, account_smtp.shares_login(smtp), now)
        _log_in(account, login, now)
        return find(who, account_id)

    account = write(job, durable=True)
    log.info("action=account_created account=%s tenant=%s user=%s", account_id, who.tenant, who.user)
    return account


def update(relay: Relay, who: Principal, account_id: str, changes: dict[str, Any], now: int) -> Account:
    """Change some fields. A stored credential does not follow the account to another server or username: a new one
    comes along, or the account waits for it (`needs_credentials`)."""
    changes = {**changes}
    has_smtp, smtp = "smtp" in changes, changes.pop("smtp", None)
    login = _login(relay, changes)

    def job() -> Account:
        account = _found(who, account_id)
        before = {name: getattr(account, name) for name in account_rules.FIELDS}
        _check_immutable(before, changes)
        values = account_rules.checked(before | changes, relay.policy.allow_private_hosts)
        moved = any(values[name] != before[name] for name in ENDPOINT_FIELDS)
        switched = login.credential_id not in (None, account.credential_id)
        _save(account, before, values, now)
        if moved or switched:
            _part(account, login, moved, now)
        if has_smtp:
            _change_smtp(relay, account, smtp, now)
        if values["username"] != before["username"] and account.smtp_shares_login:
            account_smtp.change(relay, account, {"username": values["username"]}, now)
        if moved or switched or login.sealed:
            _log_in(account, login, now)
        return find(who, account_id)

    account = write(job, durable=True)
    log.info("action=account_updated account=%s tenant=%s user=%s", account_id, who.tenant, who.user)
    return account


def delete(who: Principal, account_id: str, now: int) -> None:
    """Hidden at once, with all that is in it; purged by retention. What logs in by it alone is deleted now; tokens that
    accepted mail needs on its way go after the last of it."""

    def job() -> None:
        account = _found(who, account_id)
        run(
            "UPDATE accounts SET deleted_at = ?, updated_at = ?, lease = NULL, instance_id = NULL WHERE id = ?",
            now, now, account_id,
        )  # fmt: skip
        if account_smtp.removed_if_idle(account) or not account_smtp.goes_by_token(account):
            credentials.forget_unshared(account)

    write(job, durable=True)
    log.info("action=account_deleted account=%s tenant=%s user=%s", account_id, who.tenant, who.user)


def _visible(who: Principal) -> list[Any]:
    """Conditions. Only the command line asks for nobody in particular."""
    found = [Account.deleted_at.is_null()]
    if who.visible_tenant is not None:
        found.append(Account.tenant == who.visible_tenant)
    if who.user:
        found.append(Account.user == who.user)
    return found


def _found(who: Principal, account_id: str) -> Account:
    """With its owner held, so that no other job changes its accounts and credentials. Inside a write job."""
    account = find(who, account_id)
    credentials.hold_owner(account.tenant, account.user)
    return find(who, account_id)


def _login(relay: Relay, fields: dict[str, Any]) -> _Login:
    """Takes `credential_id` and `password` out of the fields."""
    credential_id, password = fields.pop("credential_id", None), fields.pop("password", None)
    if credential_id is not None and password is not None:
        raise InvalidInputError.of(
            [FieldError("password", "exclude each other: give credentialId or password")]
        )
    if password is None:
        return _Login(credential_id, None)
    return _Login(None, credentials.sealed_password(relay, password))


def _check_address_free(who: Principal, address: str) -> None:
    taken = row(
        'SELECT 1 FROM accounts WHERE tenant = ? AND "user" = ? AND lower(email_address) = lower(?)'
        " AND deleted_at IS NULL",
        who.tenant, who.user, address,
    )  # fmt: skip
    if taken:
        raise DuplicateEmailError(
            "emailAddress: there is an account for this address already", field="emailAddress"
        )


def _check_immutable(before: dict[str, Any], changes: dict[str, Any]) -> None:
    """They say which mail this is. Equal ones are ignored, for clients that send the whole account back."""
    wrong: list[FieldError] = []
    if changes.get("email_address"):
        changes["email_address"] = account_rules.normal_address(changes["email_address"], wrong)
    for name, code in _IMMUTABLE.items():
        given = changes.pop(name, None)
        if given is not None and given.lower() != before[name].lower() and not wrong:
            message = "cannot be changed: make another account"
            wrong.append(FieldError(account_rules.SPOKEN.get(name, name), message, code))
    if wrong:
        raise InvalidInputError.of(wrong)


def _save(account: Account, before: dict[str, Any], values: dict[str, Any], now: int) -> None:
    """Those columns alone: a pass of sync writes others of this row."""
    for name, value in values.items():
        setattr(account, name, value)
    changed = {name: value for name, value in values.items() if value != before[name]}
    _set(account, now, **changed)
    if "sync_interval" in changed:
        soonest = now + values["sync_interval"] * SECOND
        run(
            "UPDATE accounts SET next_sync_at = ? WHERE id = ? AND next_sync_at > ?",
            soonest,
            account.id,
            soonest,
        )
    if not (values["is_enabled"] and values["is_sync_enabled"]):
        run("UPDATE accounts SET lease = NULL, instance_id = NULL WHERE id = ?", account.id)


def _set(account: Account, now: int, **values: Any) -> None:
    for name, value in values.items():
        setattr(account, name, value)
    Account.update(updated_at=now, **values).where(Account.id == account.id).execute()


def _part(account: Account, login: _Login, moved: bool, now: int) -> None:
    """From the credential that it had. One that others log in by stays theirs; this account then gets an id of its
    own, where no new one is named."""
    credential_id = login.credential_id
    if credential_id == account.credential_id or credential_id is None:
        credential_id = str(uuid.uuid4()) if moved and sharing(account) else account.credential_id
    if credential_id == account.credential_id or not sharing(account):
        credentials.forget(account.tenant, account.user, account.credential_id)
    _set(account, now, credential_id=credential_id)


def _log_in(account: Account, login: _Login, now: int) -> None:
    """By the secret that has come, or by what is stored under the id that it names."""
    if login.sealed is not None:
        credentials.keep(account.tenant, account.user, account.credential_id, login.sealed, now)
        return
    start_afresh(account.id, join(account, credentials.stored(account), now), now)


def _give_config(account: Account, config: dict[str, Any], shares: bool, now: int) -> None:
    config_id = configs.add(account.tenant, config, now)
    _set(account, now, smtp_config_id=config_id, smtp_shares_login=shares)


def _change_smtp(relay: Relay, account: Account, smtp: dict[str, Any] | None, now: int) -> None:
    if smtp is None:
        account_smtp.remove(account)
        _set(account, now, smtp_config_id=None, smtp_shares_login=False)
    elif account.smtp_config_id is None:
        values = {name: getattr(account, name) for name in account_rules.FIELDS}
        config = account_smtp.prepared(relay, account.tenant, account.id, values, smtp)
        _give_config(account, config, account_smtp.shares_login(smtp), now)
    else:
        _set(account, now, smtp_shares_login=account_smtp.change(relay, account, smtp, now))
