"""Requests about API keys and tokens."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from controllers.schemas.common import Name, Strict
from services.principal import NAME_PATTERN, Scope
from services.tokens import DEFAULT_LIFETIME, MAX_LIFETIME

PrincipalName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
_SCOPES = [str(scope) for scope in Scope]


def _scope(value: object) -> Scope:
    if not isinstance(value, str) or value not in _SCOPES:
        raise ValueError(f"must be one of {', '.join(_SCOPES)}")
    return Scope(value)


ScopeName = Annotated[Scope, BeforeValidator(_scope), WithJsonSchema({"type": "string", "enum": _SCOPES})]
Scopes = Annotated[list[ScopeName], Field(min_length=1, max_length=3)]


class NewKeyBody(Strict):
    """Without `tenant_id` the key is of the asker's tenant: of the service itself for a service key."""

    name: Name
    tenant_id: PrincipalName | None = None
    user_id: PrincipalName | None = None
    scopes: Scopes = Field(default=[Scope.SEND, Scope.READ])
    rate_limit: Annotated[int, Field(ge=1, le=1_000_000, description="requests a minute")] | None = None


class TokenBody(Strict):
    """A token speaks for the tenant, and for the user where one is named."""

    tenant_id: PrincipalName
    user_id: PrincipalName | None = None
    scopes: Scopes = Field(default=[Scope.SEND, Scope.READ])
    lifetime: Annotated[int, Field(ge=1, le=MAX_LIFETIME, description="seconds")] = DEFAULT_LIFETIME
