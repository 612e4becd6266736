"""An account as its user reads it. Never what it logs in with."""

from __future__ import annotations

from typing import Any

from models.account import Account
from models.smtp_config import SmtpConfig


def view(account: Account) -> dict[str, Any]:
    return views([account])[0]


def views(accounts: list[Account]) -> list[dict[str, Any]]:
    """Camel case, times in ms since the epoch."""
    ids = [one.smtp_config_id for one in accounts if one.smtp_config_id is not None]
    configs = {one.id: one for one in SmtpConfig.select().where(SmtpConfig.id.in_(ids))} if ids else {}
    return [_view(one, configs.get(one.smtp_config_id)) for one in accounts]


def encryption_of(config: SmtpConfig) -> str:
    """In the word that accounts have for it."""
    return "tls" if config.use_ssl else "starttls" if config.use_tls else "none"


def _view(account: Account, config: SmtpConfig | None) -> dict[str, Any]:
    return {
        "id": account.id,
        "tenantId": account.tenant,
        "userId": account.user,
        "accountName": account.name,
        "emailAddress": account.email_address,
        "protocol": account.protocol,
        "hostname": account.hostname,
        "port": account.port,
        "encryption": account.encryption,
        "verifyTls": account.verify_tls,
        "username": account.username,
        "credentialId": account.credential_id,
        "isSyncEnabled": account.is_sync_enabled,
        "syncInterval": account.sync_interval,
        "lastSyncAt": account.last_sync_at,
        "isSyncing": account.lease is not None,
        "isEnabled": account.is_enabled,
        "sentCopy": account.sent_copy,
        "state": str(account.state),
        "lastError": account.last_error,
        "smtp": _smtp(config) if config else None,
        "createdAt": account.created_at,
        "updatedAt": account.updated_at,
    }


def _smtp(config: SmtpConfig) -> dict[str, Any]:
    return {
        "smtpConfigId": config.id,
        "hostname": config.smtp_host,
        "port": config.smtp_port,
        "encryption": encryption_of(config),
        "verifyTls": config.verify_tls,
        "username": config.username,
        "hasPassword": config.password is not None,
        "displayName": config.display_name,
        "hourlyLimit": config.hourly_limit,
        "dailyLimit": config.daily_limit,
    }
