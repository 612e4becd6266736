"""Mail accounts that their users must look after, and those whose sync fails. Nothing is asked of their servers."""

from __future__ import annotations

from collections.abc import Iterator

from models.account import Account, AccountState, Credential
from services.account_counts import FAILING, counts
from services.credentials import stored
from services.doctor.check import Check, ok, warn

_MOST_TOLD = 20  # of a kind


def check() -> Iterator[Check]:
    found = counts()
    total = sum(found.values())
    if not total:
        return
    yield ok(
        "accounts", f"{total}: " + ", ".join(f"{count} {word}" for word, count in found.items() if count)
    )
    waiting = Account.state != AccountState.ACTIVE
    yield from _told(waiting, found[AccountState.NEEDS_CREDENTIALS] + found[AccountState.NEEDS_REAUTH])
    yield from _told(~waiting & (Account.failures > 0), found[FAILING])


def _told(which: object, count: int) -> Iterator[Check]:
    query = Account.select().where(which, Account.is_enabled, Account.deleted_at.is_null())
    for account in query.order_by(Account.failures.desc(), Account.id).limit(_MOST_TOLD):
        yield _account(account)
    if count > _MOST_TOLD:
        yield warn("more accounts", f"{count - _MOST_TOLD} more like these", "python app.py accounts list")


def _account(account: Account) -> Check:
    name = f"account {account.id} ({account.email_address} of {account.tenant}/{account.user})"
    if account.state == AccountState.NEEDS_CREDENTIALS:
        return warn(name, "it has no login for its server", f"its user stores one: {_put(account)}")
    told = account.last_error or "its server refused the login"
    if account.state == AccountState.NEEDS_REAUTH:
        return warn(name, told, _new_login(account, stored(account)))
    detail = f"the last {account.failures} passes failed: {told}"
    return warn(name, detail, f"python app.py accounts test {account.id} names the step that fails")


def _new_login(account: Account, credential: Credential | None) -> str:
    if credential is not None and credential.kind == "oauth2":
        return f"its user logs in at the provider again, and stores the new token: {_put(account)}"
    return f"its user stores the password anew, many providers want an app password: {_put(account)}"


def _put(account: Account) -> str:
    return f"PUT /api/credentials/{account.credential_id}"
