"""Who is asking: from a request's headers and query to a Principal."""

from __future__ import annotations

from dataclasses import replace

from flask import Request

from services import keys, tokens
from services.errors import FieldError, ForbiddenError, InvalidInputError, NotAuthenticatedError
from services.principal import Principal, Scope, check_name
from services.relay import Policy, Relay
from utils.crypto import same

MASTER = Principal(None, "master key", service=True, tenant="", user="", scopes=frozenset(Scope))


def authenticate(relay: Relay, request: Request, now: int) -> Principal:
    """NotAuthenticatedError without a good credential; ForbiddenError when it names another than its own tenant."""
    who = _whose(relay.policy, request, now)
    tenant = _named(request, "X-Tenant-ID", "tenant_id")
    user = _named(request, "X-User-ID", "user_id")
    return who if tenant is None and user is None else _acting_for(who, tenant, user)


def principal_of_key(policy: Policy, secret: str, now: int) -> Principal | None:
    """Whom an API key speaks for."""
    if policy.master_key and same(secret, policy.master_key):
        return MASTER
    return keys.authenticate(secret, now)


def _whose(policy: Policy, request: Request, now: int) -> Principal:
    headers = request.environ  # straight from there: each look through Werkzeug's view costs a microsecond
    token_only = headers.get("HTTP_X_AUTH_TOKEN")
    credential = headers.get("HTTP_X_API_KEY") or _bearer(headers.get("HTTP_AUTHORIZATION"))
    if credential:
        who = principal_of_key(policy, credential, now)
        if who is None and tokens.looks_like_token(credential):
            who = tokens.read(policy.jwt_secret, credential, now)
    elif token_only:
        who = tokens.read(policy.jwt_secret, token_only, now)
    else:
        raise NotAuthenticatedError("a credential is needed: X-API-Key, or Authorization: Bearer")
    if who is None:
        raise NotAuthenticatedError("the credential is not valid", code="INVALID_CREDENTIAL")
    return who


def _bearer(header: str | None) -> str | None:
    scheme, _, credential = (header or "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else None


def _named(request: Request, header: str, parameter: str) -> str | None:
    in_header = request.environ.get(f"HTTP_{header.upper().replace('-', '_')}")
    in_query = request.args.get(parameter) if request.query_string else None
    if in_header is not None and in_query is not None and in_header != in_query:
        raise InvalidInputError.of([FieldError(parameter, f"differs from {header}", "AMBIGUOUS")])
    name = in_query if in_header is None else in_header
    if name is None:
        return None
    return check_name(parameter if in_header is None else header, name)


def _acting_for(who: Principal, tenant: str | None, user: str | None) -> Principal:
    """A service key acts for whom it names. Others may repeat who they are; a key of a whole tenant may name a user."""
    if who.service:
        if tenant is None:
            raise NotAuthenticatedError("X-User-ID: needs X-Tenant-ID beside it", code="MISSING_TENANT")
        return replace(who, tenant=tenant, user=user or "")
    if tenant is not None and tenant != who.tenant:
        raise ForbiddenError("X-Tenant-ID: this credential belongs to another tenant", code="OTHER_TENANT")
    if user is not None and who.user not in ("", user):
        raise ForbiddenError("X-User-ID: this credential belongs to another user", code="OTHER_USER")
    return replace(who, user=user or who.user)
