"""The access token of a stored credential, renewed in time.

One process at a time renews it, by a lease on the credential: a provider may take a refresh token once only, and give
another one along with the new access token. Both are on disk before either is used. Who finds the lease taken uses the
old token while it is good, or waits.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from models.account import AccountState, Credential
from models.database import run, write
from services.relay import Relay
from services.smtp import Reason
from utils.clock import MINUTE, SECOND, monotonic, now_ms

from .errors import TokenError
from .grant import Grant
from .post import SECONDS
from .renewal import renewed

log = logging.getLogger("mailferry.oauth")

MARGIN = 5 * MINUTE  # before its end, it is renewed: a login, and what follows, takes its time
LEASE = int(3 * SECONDS) * SECOND
PATIENCE_SECONDS = 2 * SECONDS
GLANCE_SECONDS = 0.1
STORE_PAUSES = (0.5, 1.0, 2.0, 4.0)
JUST_NOW = MINUTE

Clock = Callable[[], int]
_KEY = 'tenant = ? AND "user" = ? AND id = ?'


@dataclass(frozen=True, slots=True)
class _Held:
    """A credential as it is stored now, and what it was granted."""

    row: Credential
    grant: Grant

    @property
    def key(self) -> tuple[str, str, str]:
        return self.row.tenant, self.row.user, self.row.id

    def good_token(self, now: int, but: str | None) -> str | None:
        """Until its very end."""
        token, end = self.grant.access_token, self.row.expires_at
        return None if token == but or (end is not None and end <= now) else token

    def ends_soon(self, now: int) -> bool:
        """In some minutes; of a token that lives for minutes only, in the last quarter of its life."""
        end, since = self.row.expires_at, self.row.renewed_at
        if end is None:
            return False
        margin = MARGIN if since is None else min(MARGIN, max(end - since, 0) // 4)
        return bool(end - margin <= now)

    def was_just_renewed(self, now: int) -> bool:
        since = self.row.renewed_at
        return since is not None and 0 <= now - since < JUST_NOW


def access_token(
    relay: Relay,
    credential: Credential,
    clock: Clock = now_ms,
    *,
    but: str | None = None,
    insist: bool = False,
) -> str:
    """One that is good for some minutes at least. `but`: one that a server has just refused. `insist`: a person wants
    it tried, though the refresh token was refused before. TokenError; DecryptionError when no key opens what is
    stored."""
    deadline = monotonic() + PATIENCE_SECONDS
    while True:
        held, now = _read(relay, credential), clock()
        token = held.good_token(now, but)
        if token is not None and not (held.grant.is_renewable and held.ends_soon(now)):
            return token
        if token is None:
            _check_renewable(held, now, but, insist)
        lease = _take(held, now)
        if lease is not None:
            token = _renewed(relay, held, lease, clock, token)
        if token is not None:
            return token
        if lease is None and monotonic() > deadline:
            raise TokenError(Reason.TIMEOUT, "another process renews the access token, and does not end")
        time.sleep(GLANCE_SECONDS)


def distrust(account_id: str, now: int) -> None:
    """A server has stopped taking the account's token, before its time: the next login gets a new one. Not if it is
    new already. Inside a write job."""
    run(
        "UPDATE credentials SET expires_at = ? WHERE is_renewable AND (renewed_at IS NULL OR renewed_at < ?)"
        ' AND (tenant, "user", id) IN (SELECT tenant, "user", credential_id FROM accounts WHERE id = ?)',
        now, now - JUST_NOW, account_id,
    )  # fmt: skip


def _read(relay: Relay, credential: Credential) -> _Held:
    found = Credential.get_or_none(
        Credential.tenant == credential.tenant,
        Credential.user == credential.user,
        Credential.id == credential.id,
    )
    if found is None or found.kind != "oauth2" or found.endpoint != credential.endpoint:
        raise TokenError(Reason.AUTH, "the credential was changed or deleted just now")
    return _Held(found, Grant.unsealed(relay.vault, found.secret, found.expires_at))


def _check_renewable(held: _Held, now: int, but: str | None, insist: bool) -> None:
    """TokenError when asking for a new token is of no use."""
    refused = held.grant.access_token == but
    if not held.grant.is_renewable:
        what = "was refused" if refused else "has ended"
        raise TokenError(
            Reason.AUTH, f"the access token {what}, and there is no refresh token: store a new one"
        )
    if held.row.refused and not insist:
        raise TokenError(Reason.AUTH, held.row.refused)
    if but and refused and held.was_just_renewed(now):
        raise TokenError(Reason.AUTH, "a new access token was refused as well")


def _take(held: _Held, now: int) -> int | None:
    """A lease, unless somebody else has it or the credential is no longer what was read."""
    lease = secrets.randbits(62)
    taken = write(
        lambda: run(
            f"UPDATE credentials SET lease = ?, leased_until = ? WHERE {_KEY} AND secret = ?"
            " AND (lease IS NULL OR leased_until NOT BETWEEN ? AND ?)",
            lease, now + LEASE, *held.key, held.row.secret, now, now + 2 * LEASE,
        )
    )  # fmt: skip
    return lease if taken else None


def _renewed(relay: Relay, held: _Held, lease: int, clock: Clock, spare: str | None) -> str | None:
    """The new token, on disk already; the `spare` one where none is to be had now. None: another credential was stored
    meanwhile."""
    now = clock()
    try:
        grant = renewed(held.grant, relay.policy.allow_private_hosts, now)
    except TokenError as error:
        log.warning(
            "action=token_not_renewed credential=%s reason=%s error=%s", held.row.id, error.reason, error
        )
        write(partial(_failed, held, lease, error, clock()), durable=error.is_refusal)
        if spare is None or error.is_refusal:
            raise
        return spare
    except BaseException:
        write(lambda: _end_lease(held, lease))
        raise
    stored = _store(held, lease, grant.sealed(relay.vault), grant.expires_at, now)
    log.info("action=token_renewed credential=%s expires_at=%s", held.row.id, grant.expires_at)
    return grant.access_token if stored else None


def _store(held: _Held, lease: int, sealed: str, expires_at: int | None, now: int) -> bool:
    """The old refresh token may be worth nothing by now, so a database that is away or full is tried again."""
    for pause in (*STORE_PAUSES, None):
        try:
            return bool(
                write(
                    lambda: run(
                        "UPDATE credentials SET secret = ?, expires_at = ?, renewed_at = ?, refused = NULL,"
                        f" lease = NULL, leased_until = NULL WHERE {_KEY} AND lease = ?",
                        sealed, expires_at, now, *held.key, lease,
                    ),
                    durable=True,
                )
            )  # fmt: skip
        except Exception:
            if pause is None:
                raise
            log.exception("action=token_store_trouble credential=%s", held.row.id)
            time.sleep(pause)
    raise AssertionError


def _end_lease(held: _Held, lease: int) -> bool:
    return bool(
        run(
            f"UPDATE credentials SET lease = NULL, leased_until = NULL WHERE {_KEY} AND lease = ?",
            *held.key,
            lease,
        )
    )


def _failed(held: _Held, lease: int, error: TokenError, now: int) -> None:
    """A refusal is final, unless another credential was stored meanwhile: the accounts wait for a new login."""
    if not (_end_lease(held, lease) and error.is_refusal):
        return
    run(f"UPDATE credentials SET refused = ? WHERE {_KEY}", error.detail, *held.key)
    run(
        "UPDATE accounts SET state = ?, last_error = ?, updated_at = ?"
        ' WHERE tenant = ? AND "user" = ? AND credential_id = ? AND state = ? AND deleted_at IS NULL',
        AccountState.NEEDS_REAUTH, error.detail, now, *held.key, AccountState.ACTIVE,
    )  # fmt: skip
