"""SMTP configs: made, found, changed, paused, deleted."""

from __future__ import annotations

from typing import Any

from models.account import Account
from models.database import FOR_UPDATE, row, run, write
from models.email import State
from models.smtp_config import Health, SmtpConfig
from services import config_rules, health, routing
from services.errors import ConflictError, NotFoundError
from services.presets import filled
from services.principal import Principal
from services.relay import Relay

# Whoever aims a config elsewhere must bring the password again, or a test against a new host would hand it over.
ENDPOINT_FIELDS = ("smtp_host", "smtp_port", "use_tls", "use_ssl", "username")
# Of a config that was made for a mail account: what the account says, and what would open it to others' mail.
_OF_ITS_ACCOUNT = (
    *ENDPOINT_FIELDS, "password", "email_address", "weight", "from_domains", "allow_any_sender", "shared",
)  # fmt: skip
_BUSY = (State.SCHEDULED, State.QUEUED, State.RETRY, State.SENDING)


def create(relay: Relay, who: Principal, fields: dict[str, Any], now: int) -> int:
    """The new config's id. `fields` as in the HTTP contract, `provider` and a plain `password` among them."""
    values = prepared(relay, who.tenant, fields)
    config_id = write(lambda: add(who.tenant, values, now), durable=True)
    relay.wake()
    return config_id


def prepared(relay: Relay, tenant: str, fields: dict[str, Any]) -> dict[str, Any]:
    """What `add` takes: checked, complete, the password encrypted."""
    values = config_rules.completed(filled(fields))
    values = config_rules.checked(values, tenant, relay.policy.allow_private_hosts)
    return values | {"password": _sealed(relay, values.get("password"))}


def add(tenant: str, values: dict[str, Any], now: int) -> int:
    """Inside a write job."""
    _check_name_free(tenant, values["name"], 0)
    config = SmtpConfig.create(tenant=tenant, created_at=now, updated_at=now, **values)
    Health.create(smtp_config_id=config.id)
    routing.config_changed(config.id)
    return int(config.id)


def find(who: Principal, config_id: int) -> SmtpConfig:
    """NotFoundError unless it is there and may be seen."""
    config = SmtpConfig.get_or_none(SmtpConfig.id == config_id)
    if config is None or not _visible(who, config):
        raise NotFoundError(f"no SMTP config {config_id}")
    return config


def listed(who: Principal, limit: int, offset: int) -> tuple[list[SmtpConfig], int]:
    """A page of configs in the order they were made, and how many there are."""
    query = SmtpConfig.select()
    if who.visible_tenant is not None:
        query = query.where(SmtpConfig.tenant == who.visible_tenant)
    if who.user:
        own = Account.select(Account.id).where(Account.tenant == who.tenant, Account.user == who.user)
        query = query.where(SmtpConfig.account_id.is_null() | SmtpConfig.account_id.in_(own))
    return list(query.order_by(SmtpConfig.id).limit(limit).offset(offset)), query.count()


def _visible(who: Principal, config: SmtpConfig) -> bool:
    if who.visible_tenant not in (None, config.tenant):
        return False
    if not (who.user and config.account_id):
        return True
    return row('SELECT 1 FROM accounts WHERE id = ? AND "user" = ?', config.account_id, who.user) is not None


def update(relay: Relay, who: Principal, config_id: int, changes: dict[str, Any], now: int) -> bool:
    """Change some fields; whether the stored password was cleared, because it now would go elsewhere."""

    def job() -> bool:
        config = _found(who, config_id)
        if config.account_id and (ruled := sorted(set(changes) & set(_OF_ITS_ACCOUNT))):
            raise ConflictError(
                f"{ruled[0]}: this config was made for the account {config.account_id}: change it there",
                code="OF_AN_ACCOUNT", field=ruled[0],
            )  # fmt: skip
        return change(relay, config, changes, now)

    cleared = write(job, durable=True)
    relay.wake()
    return cleared


def change(relay: Relay, config: SmtpConfig, changes: dict[str, Any], now: int) -> bool:
    """`update`, inside a write job that has the config's row to itself."""
    new_password = "password" in changes
    before = {name: getattr(config, name) for name in config_rules.FIELDS}
    merged = config_rules.checked(
        before | {"password": None} | changes, config.tenant, relay.policy.allow_private_hosts
    )
    aimed_elsewhere = any(merged[name] != before[name] for name in ENDPOINT_FIELDS)
    cleared = bool(aimed_elsewhere and (config.password or config.by_token) and not new_password)
    if new_password or cleared:
        config.password = _sealed(relay, merged["password"])
        config.by_token = False
    _check_name_free(config.tenant, merged["name"], config.id)
    for name in config_rules.FIELDS:
        setattr(config, name, merged[name])
    config.updated_at = now
    config.save()
    if aimed_elsewhere or new_password or merged["verify_tls"] != before["verify_tls"]:
        _start_afresh(config.id)
    routing.config_changed(config.id)
    return cleared


def set_password(config_id: int, sealed: str | None, now: int) -> None:
    """One that is encrypted already. Inside a write job."""
    _set_login(config_id, sealed, False, now)


def set_by_token(config_id: int, now: int) -> None:
    """It logs in by the access token of its account from now on. Inside a write job."""
    _set_login(config_id, None, True, now)


def _set_login(config_id: int, sealed: str | None, by_token: bool, now: int) -> None:
    run(
        "UPDATE smtp_configs SET password = ?, by_token = ?, updated_at = ? WHERE id = ?",
        sealed, by_token, now, config_id,
    )  # fmt: skip
    _start_afresh(config_id)


def delete(who: Principal, config_id: int) -> None:
    """ConflictError while mail that waits is pinned to it, or mail is on its wire."""

    def job() -> None:
        config = _found(who, config_id)
        if config.account_id:
            raise ConflictError(
                f"this config was made for the account {config.account_id}: take its smtp settings away there",
                code="OF_AN_ACCOUNT",
            )  # fmt: skip
        remove(config_id)

    write(job, durable=True)


def remove(config_id: int) -> None:
    """`delete`, inside a write job that has the config's row to itself."""
    waiting = row(
        "SELECT count(*) FROM emails WHERE smtp_config_id = ? AND state IN (?, ?, ?, ?)", config_id, *_BUSY
    )
    if waiting and waiting[0]:
        raise ConflictError(f"{waiting[0]} emails that wait are pinned to it: cancel or re-pin them first")
    if row("SELECT 1 FROM emails WHERE state = ? AND carrier_id = ? LIMIT 1", State.SENDING, config_id):
        raise ConflictError("an email is on its wire: pause the config, and try again in a moment")
    routing.config_removed(config_id)
    for table in ("health", "usage", "slots"):
        run(f"DELETE FROM {table} WHERE smtp_config_id = ?", config_id)
    run("DELETE FROM smtp_configs WHERE id = ?", config_id)


def pause(who: Principal, config_id: int) -> None:
    """Nothing more goes through it until it is resumed; what is on the wire is finished."""

    def job() -> None:
        find(who, config_id)
        run("UPDATE health SET paused = TRUE WHERE smtp_config_id = ?", config_id)

    write(job, durable=True)


def resume(relay: Relay, who: Principal, config_id: int) -> None:
    """Lift every hold but the limits: the pause, one asked for by the provider, and the breaker."""

    def job() -> None:
        find(who, config_id)
        health.reset(config_id)

    write(job, durable=True)
    relay.wake()


def _found(who: Principal, config_id: int) -> SmtpConfig:
    lock(config_id)
    return find(who, config_id)


def lock(config_id: int) -> None:
    """Nobody else changes it, nor claims for it, nor pins mail to it, until this write job is done."""
    row(f"SELECT 1 FROM smtp_configs WHERE id = ? {FOR_UPDATE}", config_id)


def _start_afresh(config_id: int) -> None:
    """Failures of the old settings tell nothing about the new; a person's pause stays."""
    paused = row("SELECT paused FROM health WHERE smtp_config_id = ?", config_id)
    health.reset(config_id)
    run("UPDATE health SET paused = ? WHERE smtp_config_id = ?", paused[0] if paused else False, config_id)


def _sealed(relay: Relay, password: str | None) -> str | None:
    return relay.vault.encrypt(password) if password else None


def _check_name_free(tenant: str, name: str, own_id: int) -> None:
    if row("SELECT 1 FROM smtp_configs WHERE tenant = ? AND name = ? AND id != ?", tenant, name, own_id):
        raise ConflictError("name: another SMTP config has this name", code="NAME_TAKEN", field="name")
