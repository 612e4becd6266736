"""API keys and tokens."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from controllers.operation import Call, Operation, operation, paged
from controllers.schemas import answers as says
from controllers.schemas.keys import NewKeyBody, TokenBody
from controllers.schemas.smtp_configs import PageQuery
from services import keys, tokens
from services.principal import Scope
from utils.clock import iso

bp = APIBlueprint("keys", __name__)
TAG = "Keys"


@operation(bp, "POST", "/api/keys", Operation(
    "create_key", "Make an API key; its secret is shown this once", TAG, Scope.ADMIN,
    {201: ("The key, with its secret", says.NEW_KEY)}, group="admin", body=NewKeyBody,
    example={"name": "shop", "tenant_id": "shop", "scopes": ["send", "read"], "rate_limit": 600},
))  # fmt: skip
def create(call: Call) -> tuple[dict[str, Any], int]:
    """Nobody can make a key that reaches further than their own. Without a `tenant_id`, the key is of the caller's
    tenant; made by a service key, it is a service key.
    """
    body: NewKeyBody = call.body
    request = keys.KeyRequest(
        name=body.name,
        tenant=call.who.tenant if body.tenant_id is None else body.tenant_id,
        user=call.who.user if body.user_id is None else body.user_id,
        scopes=tuple(dict.fromkeys(body.scopes)),
        rate_limit=body.rate_limit,
    )
    keys.check_may_mint(call.who, request)
    key, secret = keys.create(request, call.now)
    shown = {"message": "API key created: keep it, it is not shown again", "key": secret}
    return shown | keys.described(key), 201


@operation(bp, "GET", "/api/keys", Operation(
    "list_keys", "API keys, newest first, the revoked ones too", TAG, Scope.ADMIN,
    {200: ("A page of keys", says.array(says.KEY))}, group="admin", query=PageQuery,
    sets=("X-Total-Count", "Link"),
))  # fmt: skip
def listed(call: Call) -> Response:
    query: PageQuery = call.query
    items, total = keys.listed(call.who.visible_tenant, query.limit, query.offset)
    end = query.offset + len(items)
    return paged(items, total, {"offset": end} if end < total and items else None)


@operation(bp, "DELETE", "/api/keys/<id:key_id>", Operation(
    "revoke_key", "Revoke an API key; it stops at once", TAG, Scope.ADMIN, {204: ("Revoked", None)}, group="admin",
))  # fmt: skip
def revoke(call: Call, key_id: int) -> tuple[None, int]:
    keys.revoke(call.who.visible_tenant, key_id, call.now)
    return None, 204


@operation(bp, "POST", "/api/auth/token", Operation(
    "create_token", "Issue a JWT for a tenant and user", TAG, Scope.ADMIN, {201: ("The token", says.TOKEN)},
    group="admin", service_only=True, body=TokenBody, audited=False,
    example={"tenant_id": "shop", "user_id": "ann", "lifetime": 3600},
))  # fmt: skip
def issue(call: Call) -> tuple[dict[str, Any], int]:
    """For apps that let their users speak to the relay: the JWT ends by itself and cannot be revoked. Keep
    `lifetime` short.
    """
    body: TokenBody = call.body
    user = body.user_id or ""
    secret = call.relay.policy.jwt_secret
    token, expires = tokens.issue(secret, body.tenant_id, user, tuple(body.scopes), body.lifetime, call.now)
    return {
        "token": token, "token_type": "Bearer", "expires_at": iso(expires), "tenant_id": body.tenant_id,
        "user_id": body.user_id,
    }, 201  # fmt: skip
