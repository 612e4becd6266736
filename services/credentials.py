"""What logs in to mail accounts: stored encrypted, never read back by its owner, handed to one server only.

A credential belongs to the server and username that it was first used for. So an account that is aimed at another
host, or a new one that names the same credential, gets nothing: else a test against that host would hand it over.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from models.account import Account, Credential
from models.database import hold, row, run, write
from services.account_login import credential_came, credential_went, endpoint_of, sharing
from services.errors import FieldError, InvalidInputError, NotFoundError
from services.oauth import Grant, checked_url, tokens
from services.principal import Principal
from services.relay import Relay
from utils.clock import now_ms

Kind = Literal["password", "oauth2"]


@dataclass(frozen=True, slots=True)
class Secret:
    """What a server is told. `value`: the password, or an access token of OAuth 2."""

    kind: Kind
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A password or a grant, encrypted, and what may be known of it."""

    kind: Kind
    secret: str
    expires_at: int | None = None
    is_renewable: bool = False


def sealed_password(relay: Relay, password: str) -> Sealed:
    return Sealed("password", relay.vault.encrypt(checked_password(password)))


def sealed_grant(relay: Relay, grant: Grant) -> Sealed:
    """InvalidInputError where its token server may not be asked."""
    wrong: list[FieldError] = []
    if grant.is_renewable:
        public_only = not relay.policy.allow_private_hosts
        grant = replace(grant, token_url=checked_url(grant.token_url, public_only, "tokenEndpoint", wrong))
    if wrong:
        raise InvalidInputError.of(wrong)
    return Sealed("oauth2", grant.sealed(relay.vault), grant.expires_at, grant.is_renewable)


def checked_password(password: str) -> str:
    """InvalidInputError for what no mail protocol can carry."""
    if any(one in password for one in "\r\n\0"):
        raise InvalidInputError.of([FieldError("password", "must not hold line breaks", "INVALID_CHARACTER")])
    return password


def secret_of(
    relay: Relay,
    account: Account,
    clock: tokens.Clock = now_ms,
    *,
    but: str | None = None,
    insist: bool = False,
) -> Secret | None:
    """What logs in to the account's server; None while there is none for it. An access token is renewed first if need
    be; `but` and `insist` as in `tokens.access_token`. DecryptionError when no key opens it; TokenError."""
    credential = stored(account)
    if credential is None or credential.endpoint != endpoint_of(account):
        return None
    if credential.kind == "password":
        return Secret("password", relay.vault.decrypt(credential.secret))
    return Secret("oauth2", tokens.access_token(relay, credential, clock, but=but, insist=insist))


def create(who: Principal, sealed: Sealed, now: int) -> Credential:
    """Under an id of its own."""
    return put(who, str(uuid.uuid4()), sealed, now)[0]


def put(who: Principal, credential_id: str, sealed: Sealed, now: int) -> tuple[Credential, bool]:
    """Store it, or replace what is stored under the id, for the accounts that name it; and whether it is new."""

    def job() -> tuple[Credential, bool]:
        hold_owner(who.tenant, who.user)
        return keep(who.tenant, who.user, credential_id, sealed, now)

    return write(job, durable=True)


def keep(tenant: str, user: str, credential_id: str, sealed: Sealed, now: int) -> tuple[Credential, bool]:
    """`put`, inside a write job that holds the owner. What is new may go to whichever server is first to use it; a
    renewal of what was there before, if one is under way, is of no more use."""
    is_new = not _is_stored(tenant, user, credential_id)
    run(
        'INSERT INTO credentials (id, tenant, "user", kind, secret, expires_at, is_renewable, created_at, updated_at)'
        ' VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, "user", id) DO UPDATE SET kind = excluded.kind,'
        " secret = excluded.secret, expires_at = excluded.expires_at, is_renewable = excluded.is_renewable,"
        " updated_at = excluded.updated_at, endpoint = NULL, renewed_at = NULL, refused = NULL, lease = NULL,"
        " leased_until = NULL",
        credential_id, tenant, user, sealed.kind, sealed.secret, sealed.expires_at, sealed.is_renewable, now, now,
    )  # fmt: skip
    credential = Credential.get(
        Credential.tenant == tenant, Credential.user == user, Credential.id == credential_id
    )
    credential_came(credential, now)
    return credential, is_new


def view(credential: Credential) -> dict[str, Any]:
    """All that its owner may read of it."""
    return {
        "id": credential.id,
        "kind": credential.kind,
        "expiresAt": credential.expires_at,
        "isRenewable": credential.is_renewable,
        "createdAt": credential.created_at,
        "updatedAt": credential.updated_at,
    }


def delete(who: Principal, credential_id: str, now: int) -> None:
    """The accounts that log in by it wait for another one. NotFoundError when it is not stored."""

    def job() -> None:
        hold_owner(who.tenant, who.user)
        if not forget(who.tenant, who.user, credential_id):
            raise NotFoundError(f"no credential {credential_id}")
        credential_went(who.tenant, who.user, credential_id, now)

    write(job, durable=True)


def forget(tenant: str, user: str, credential_id: str) -> bool:
    """Whether there was one. Inside a write job."""
    return bool(
        run('DELETE FROM credentials WHERE tenant = ? AND "user" = ? AND id = ?', tenant, user, credential_id)
    )


def forget_unshared(account: Account) -> None:
    """What nobody but this account logs in by. Inside a write job that holds the owner."""
    if not sharing(account):
        forget(account.tenant, account.user, account.credential_id)


def _is_stored(tenant: str, user: str, credential_id: str) -> bool:
    found = row(
        'SELECT 1 FROM credentials WHERE tenant = ? AND "user" = ? AND id = ?', tenant, user, credential_id
    )
    return found is not None


def stored(account: Account) -> Credential | None:
    found: Credential | None = Credential.get_or_none(
        Credential.tenant == account.tenant,
        Credential.user == account.user,
        Credential.id == account.credential_id,
    )
    return found


def hold_owner(tenant: str, user: str) -> None:
    """Of one user's accounts and credentials only one write job at a time, until it is done."""
    hold(f"accounts {tenant} {user}")
