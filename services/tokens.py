"""JSON Web Tokens (HS256) that speak for a tenant and, optionally, one of its users."""

from __future__ import annotations

from math import isfinite
from typing import Any

import jwt
from jwt.types import Options

from services.errors import InvalidInputError, NotAuthenticatedError
from services.principal import Principal, Scope, check_name
from utils.clock import SECOND

DEFAULT_LIFETIME = 3_600  # seconds
MAX_LIFETIME = 86_400
DEFAULT_SCOPES = (Scope.SEND, Scope.READ)
_ALGORITHM = "HS256"
# Times are checked against our own clock, below.
_OPTIONS: Options = {
    "require": ["exp", "tenant_id"],
    "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False,
}  # fmt: skip


def issue(
    secret: str, tenant: str, user: str, scopes: tuple[Scope, ...], lifetime: int, now: int
) -> tuple[str, int]:
    """A token and when it ends (ms). `lifetime` in seconds."""
    issued = now // SECOND
    expires = issued + lifetime
    claims = {
        "tenant_id": tenant, "user_id": user, "scopes": [str(scope) for scope in scopes], "iat": issued, "exp": expires,
    }  # fmt: skip
    return jwt.encode(claims, secret, algorithm=_ALGORITHM), expires * SECOND


def looks_like_token(credential: str) -> bool:
    return credential.count(".") == 2


def read(secret: str, token: str, now: int) -> Principal:
    """NotAuthenticatedError unless the token is ours, whole and in its time."""
    try:
        claims = jwt.decode(token, secret, algorithms=[_ALGORITHM], options=_OPTIONS)
        _check_times(claims, now)
        return _principal(claims)
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError):
        raise _refused() from None


def _check_times(claims: dict[str, Any], now: int) -> None:
    expires, starts = (float(claims.get(name, 0)) * SECOND for name in ("exp", "nbf"))
    if not (isfinite(expires) and starts <= now):
        raise _refused()
    if now >= expires:
        raise NotAuthenticatedError("the token has expired", code="TOKEN_EXPIRED")


def _principal(claims: dict[str, Any]) -> Principal:
    try:
        tenant = check_name("tenant_id", str(claims["tenant_id"]))
        user = check_name("user_id", str(claims["user_id"])) if claims.get("user_id") else ""
    except InvalidInputError:
        raise _refused() from None
    scopes = frozenset(Scope(scope) for scope in claims.get("scopes", DEFAULT_SCOPES))
    return Principal(
        key_id=None, name=f"token of {tenant}", service=False, tenant=tenant, user=user, scopes=scopes
    )


def _refused() -> NotAuthenticatedError:
    return NotAuthenticatedError("the token is not valid", code="INVALID_TOKEN")
