"""An account as its user reads it. Never what it logs in with."""

from __future__ import annotations

from typing import Any

from models.account import Account, Credential
from models.smtp_config import SmtpConfig
from services.account_login import endpoint_of


def view(account: Account) -> dict[str, Any]:
    return views([account])[0]


def views(accounts: list[Account]) -> list[dict[str, Any]]:
    """Camel case, times in ms since the epoch."""
    ids = [one.smtp_config_id for one in accounts if one.smtp_config_id is not None]
    configs = {one.id: one for one in SmtpConfig.select().where(SmtpConfig.id.in_(ids))} if ids else {}
    logins = _logins(accounts)
    return [_view(one, configs.get(one.smtp_config_id)) | {"login": _login(one, logins)} for one in accounts]


def _logins(accounts: list[Account]) -> dict[tuple[str, str, str], Credential]:
    """By tenant, user and id, without what is secret."""
    fields = (Credential.tenant, Credential.user, Credential.id, Credential.endpoint, Credential.kind)
    found = Credential.select(*fields, Credential.expires_at, Credential.is_renewable).where(
        Credential.tenant.in_({one.tenant for one in accounts}),
        Credential.user.in_({one.user for one in accounts}),
        Credential.id.in_({one.credential_id for one in accounts}),
    )
    return {(one.tenant, one.user, one.id): one for one in found}


def _login(account: Account, logins: dict[tuple[str, str, str], Credential]) -> dict[str, Any] | None:
    """How it logs in, and when its access token ends; None while nothing is stored that goes to its server."""
    credential = logins.get((account.tenant, account.user, account.credential_id))
    if credential is None or credential.endpoint != endpoint_of(account):
        return None
    return {
        "kind": credential.kind,
        "expiresAt": credential.expires_at,
        "isRenewable": credential.is_renewable,
    }


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
        "usesToken": config.by_token,
        "displayName": config.display_name,
        "hourlyLimit": config.hourly_limit,
        "dailyLimit": config.daily_limit,
    }
