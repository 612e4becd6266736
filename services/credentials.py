"""What logs in to mail accounts: stored encrypted, never read back by its owner, handed to one server only.

A credential belongs to the server and username that it was first used for. So an account that is aimed at another
host, or a new one that names the same credential, gets nothing: else a test against that host would hand it over.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from models.account import Account, Credential
from models.database import hold, row, run, write
from services.account_login import credential_came, credential_went, endpoint_of
from services.errors import FieldError, InvalidInputError, NotFoundError
from services.principal import Principal
from services.relay import Relay

Kind = Literal["password", "oauth2"]


@dataclass(frozen=True, slots=True)
class Secret:
    """`value`: the password, or the access token of OAuth 2 (RFC 6749), which goes over XOAUTH2."""

    kind: Kind
    value: str = field(repr=False)

    def sealed(self, relay: Relay) -> str:
        return relay.vault.encrypt(
            self.value if self.kind == "password" else json.dumps({"access_token": self.value})
        )


def checked(secret: Secret, name: str) -> Secret:
    """InvalidInputError, naming the field, for what no mail protocol can carry."""
    if any(one in secret.value for one in "\r\n\0"):
        raise InvalidInputError.of([FieldError(name, "must not hold line breaks", "INVALID_CHARACTER")])
    return secret


def secret_of(relay: Relay, account: Account) -> Secret | None:
    """What logs in to the account's server; None while there is none for it. DecryptionError when no key opens it."""
    credential = stored(account)
    if credential is None or credential.endpoint != endpoint_of(account):
        return None
    plain = relay.vault.decrypt(credential.secret)
    if credential.kind == "password":
        return Secret("password", plain)
    return Secret("oauth2", json.loads(plain)["access_token"])


def create(relay: Relay, who: Principal, secret: Secret, now: int) -> Credential:
    """Under an id of its own."""
    return put(relay, who, str(uuid.uuid4()), secret, now)[0]


def put(
    relay: Relay, who: Principal, credential_id: str, secret: Secret, now: int
) -> tuple[Credential, bool]:
    """Store it, or replace what is stored under the id, for the accounts that name it; and whether it is new."""
    sealed = secret.sealed(relay)

    def job() -> tuple[Credential, bool]:
        hold_owner(who.tenant, who.user)
        return keep(who.tenant, who.user, credential_id, secret.kind, sealed, now)

    return write(job, durable=True)


def keep(
    tenant: str, user: str, credential_id: str, kind: Kind, sealed: str, now: int
) -> tuple[Credential, bool]:
    """`put`, inside a write job that holds the owner. What is new may go to whichever server is first to use it."""
    is_new = not _is_stored(tenant, user, credential_id)
    run(
        'INSERT INTO credentials (id, tenant, "user", kind, secret, endpoint, created_at, updated_at)'
        ' VALUES (?, ?, ?, ?, ?, NULL, ?, ?) ON CONFLICT (tenant, "user", id) DO UPDATE SET kind = excluded.kind,'
        " secret = excluded.secret, endpoint = NULL, updated_at = excluded.updated_at",
        credential_id, tenant, user, kind, sealed, now, now,
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
