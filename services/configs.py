"""SMTP configs: made, found, changed, paused, deleted."""

from __future__ import annotations

from typing import Any

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
_BUSY = (State.SCHEDULED, State.QUEUED, State.RETRY, State.SENDING)


def create(relay: Relay, who: Principal, fields: dict[str, Any], now: int) -> int:
    """The new config's id. `fields` as in the HTTP contract, `provider` and a plain `password` among them."""
    values = config_rules.completed(filled(fields))
    values = config_rules.checked(values, who.tenant, relay.policy.allow_private_hosts)
    values["password"] = _sealed(relay, values.get("password"))

    def job() -> int:
        _check_name_free(who.tenant, values["name"], 0)
        config = SmtpConfig.create(tenant=who.tenant, created_at=now, updated_at=now, **values)
        Health.create(smtp_config_id=config.id)
        routing.config_changed(config.id)
        return int(config.id)

    config_id = write(job, durable=True)
    relay.wake()
    return config_id


def find(tenant: str | None, config_id: int) -> SmtpConfig:
    """NotFoundError unless it is there and may be seen."""
    config = SmtpConfig.get_or_none(SmtpConfig.id == config_id)
    if config is None or tenant not in (None, config.tenant):
        raise NotFoundError(f"no SMTP config {config_id}")
    return config


def listed(tenant: str | None, limit: int, offset: int) -> tuple[list[SmtpConfig], int]:
    """A page of configs in the order they were made, and how many there are."""
    query = SmtpConfig.select() if tenant is None else SmtpConfig.select().where(SmtpConfig.tenant == tenant)
    return list(query.order_by(SmtpConfig.id).limit(limit).offset(offset)), query.count()


def update(relay: Relay, who: Principal, config_id: int, changes: dict[str, Any], now: int) -> bool:
    """Change some fields; whether the stored password was cleared, because it now would go elsewhere."""
    new_password = "password" in changes

    def job() -> bool:
        config = _found(who.visible_tenant, config_id)
        before = {name: getattr(config, name) for name in config_rules.FIELDS}
        merged = config_rules.checked(
            before | {"password": None} | changes, config.tenant, relay.policy.allow_private_hosts
        )
        aimed_elsewhere = any(merged[name] != before[name] for name in ENDPOINT_FIELDS)
        cleared = bool(aimed_elsewhere and config.password and not new_password)
        if new_password:
            config.password = _sealed(relay, merged["password"])
        elif cleared:
            config.password = None
        _check_name_free(config.tenant, merged["name"], config_id)
        for name in config_rules.FIELDS:
            setattr(config, name, merged[name])
        config.updated_at = now
        config.save()
        if aimed_elsewhere or new_password or merged["verify_tls"] != before["verify_tls"]:
            _start_afresh(config_id)
        routing.config_changed(config_id)
        return cleared

    cleared = write(job, durable=True)
    relay.wake()
    return cleared


def delete(tenant: str | None, config_id: int) -> None:
    """ConflictError while mail that waits is pinned to it, or mail is on its wire."""

    def job() -> None:
        _found(tenant, config_id)
        waiting = row(
            "SELECT count(*) FROM emails WHERE smtp_config_id = ? AND state IN (?, ?, ?, ?)",
            config_id,
            *_BUSY,
        )
        if waiting and waiting[0]:
            raise ConflictError(
                f"{waiting[0]} emails that wait are pinned to it: cancel or re-pin them first"
            )
        if row("SELECT 1 FROM emails WHERE state = ? AND carrier_id = ? LIMIT 1", State.SENDING, config_id):
            raise ConflictError("an email is on its wire: pause the config, and try again in a moment")
        routing.config_removed(config_id)
        for table in ("health", "usage", "slots"):
            run(f"DELETE FROM {table} WHERE smtp_config_id = ?", config_id)
        run("DELETE FROM smtp_configs WHERE id = ?", config_id)

    write(job, durable=True)


def pause(tenant: str | None, config_id: int) -> None:
    """Nothing more goes through it until it is resumed; what is on the wire is finished."""

    def job() -> None:
        find(tenant, config_id)
        run("UPDATE health SET paused = TRUE WHERE smtp_config_id = ?", config_id)

    write(job, durable=True)


def resume(relay: Relay, tenant: str | None, config_id: int) -> None:
    """Lift every hold but the limits: the pause, one asked for by the provider, and the breaker."""

    def job() -> None:
        find(tenant, config_id)
        health.reset(config_id)

    write(job, durable=True)
    relay.wake()


def _found(tenant: str | None, config_id: int) -> SmtpConfig:
    """The config, which nobody else changes, nor claims for, nor pins mail to, until this write job is done."""
    row(f"SELECT 1 FROM smtp_configs WHERE id = ? {FOR_UPDATE}", config_id)
    return find(tenant, config_id)


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
