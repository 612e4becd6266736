"""API keys: made, found, listed, revoked. Only their hashes are kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from models.database import row, run, write
from models.service import ApiKey
from services.errors import ForbiddenError, NotFoundError
from services.principal import Principal, Scope, check_name
from utils.clock import MINUTE, iso, iso_or_none
from utils.crypto import hash_api_key, new_api_key

SHOWN = 8  # characters of a key that tell it from others
_SEEN_EVERY = 5 * MINUTE


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A key to be made. `tenant` '' makes a service key; `rate_limit` in requests a minute."""

    name: str
    tenant: str = ""
    user: str = ""
    scopes: tuple[Scope, ...] = (Scope.SEND, Scope.READ)
    rate_limit: int | None = None


def create(request: KeyRequest, now: int) -> tuple[ApiKey, str]:
    """The stored key and its secret, which cannot be had again."""
    if request.tenant:
        check_name("tenant_id", request.tenant)
    if request.user:
        check_name("user_id", request.user)
    secret = new_api_key()
    fields = {
        "tenant": request.tenant, "user": request.user, "name": request.name, "prefix": secret[:SHOWN],
        "sha256": hash_api_key(secret), "scopes": [str(scope) for scope in request.scopes],
        "rate_limit": request.rate_limit, "created_at": now,
    }  # fmt: skip
    return write(lambda: ApiKey.create(**fields), durable=True), secret


def check_may_mint(who: Principal, request: KeyRequest) -> None:
    """Nobody may mint a key that reaches further than their own."""
    who.require(Scope.ADMIN)
    tenant = who.visible_tenant
    if tenant is not None and request.tenant != tenant:
        raise ForbiddenError("this credential may make keys for its own tenant only", code="OTHER_TENANT")
    if who.user and request.user != who.user:
        raise ForbiddenError("this credential may make keys for its own user only", code="OTHER_USER")


def authenticate(secret: str, now: int) -> Principal | None:
    """Whom a key speaks for; None when it is unknown or revoked."""
    found = row(
        'SELECT id, name, tenant, "user", scopes, rate_limit, last_used_at FROM api_keys'
        " WHERE sha256 = ? AND revoked_at IS NULL",
        hash_api_key(secret),
    )
    if found is None:
        return None
    key_id, name, tenant, user, scopes, rate_limit, last_used_at = found
    if last_used_at is None or now - last_used_at > _SEEN_EVERY:
        write(lambda: run("UPDATE api_keys SET last_used_at = ? WHERE id = ?", now, key_id))
    return Principal(key_id, name, not tenant, tenant, user, _scopes(scopes), rate_limit)


@lru_cache(maxsize=64)
def _scopes(text: str) -> frozenset[Scope]:
    return frozenset(Scope(scope) for scope in json.loads(text))


def by_id(key_id: int) -> Principal | None:
    """Whom a key speaks for, for a session that was opened with it; None once it is revoked."""
    key = ApiKey.get_or_none((ApiKey.id == key_id) & ApiKey.revoked_at.is_null())
    if key is None:
        return None
    scopes = frozenset(Scope(scope) for scope in key.scopes)
    return Principal(key.id, key.name, not key.tenant, key.tenant, key.user, scopes, key.rate_limit)


def listed(tenant: str | None, limit: int, offset: int) -> tuple[list[dict[str, Any]], int]:
    """A page of keys, newest first, and how many there are; the revoked ones too."""
    query = ApiKey.select() if tenant is None else ApiKey.select().where(ApiKey.tenant == tenant)
    page = query.order_by(ApiKey.id.desc()).limit(limit).offset(offset)
    return [described(key) for key in page], query.count()


def revoke(tenant: str | None, key_id: int, now: int) -> None:
    """It stops at once. NotFoundError when there is none, or none any more."""

    def work() -> None:
        mine, params = ("", ()) if tenant is None else (" AND tenant = ?", (tenant,))
        changed = run(
            f"UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL{mine}",
            now,
            key_id,
            *params,
        )
        if not changed:
            raise NotFoundError(f"no API key {key_id}")

    write(work, durable=True)


def described(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "tenant_id": key.tenant or None,
        "user_id": key.user or None,
        "scopes": key.scopes,
        "rate_limit": key.rate_limit,
        "created_at": iso(key.created_at),
        "last_used_at": iso_or_none(key.last_used_at),
        "revoked_at": iso_or_none(key.revoked_at),
    }
