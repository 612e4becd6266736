"""Mail accounts of a user: create, read, update, delete, test."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from controllers.operation import Call, Operation, answered, operation
from controllers.schemas import mail_answers as says
from controllers.schemas.accounts import (
    TEST_TIMEOUT,
    AccountChangesBody,
    AccountsQuery,
    AccountTestBody,
    NewAccountBody,
)
from services import account_test, accounts
from services.account_view import view, views
from services.principal import Scope

bp = APIBlueprint("accounts", __name__)
TAG = "Accounts"
EXAMPLE = {
    "accountName": "Work Email", "emailAddress": "user@company.com", "protocol": "imap",
    "hostname": "imap.company.com", "port": 993, "encryption": "tls", "username": "user@company.com",
    "password": "app-specific-password", "isSyncEnabled": True, "syncInterval": 300,
    "smtp": {"hostname": "smtp.company.com", "port": 587, "encryption": "starttls"},
}  # fmt: skip
EXAMPLES = {
    "Any server, with SMTP": EXAMPLE,
    "Of a known provider": {
        "provider": "fastmail", "accountName": "Fastmail", "emailAddress": "me@fastmail.com",
        "password": "app-specific-password",
    },
}  # fmt: skip


@operation(bp, "POST", "/api/accounts", Operation(
    "create_account", "Add a mail account (IMAP or POP3)", TAG, Scope.SEND, {201: ("The account", says.ACCOUNT)},
    group="create_account", of_user=True, body=NewAccountBody, example=EXAMPLE,
    examples=EXAMPLES, errors=(409,),
    sets=("Location",),
))  # fmt: skip
def create(call: Call) -> Response:
    """Its servers are asked on the next sync, not here: `POST /api/accounts/{account_id}/test` tells at once
    whether it works. `provider` fills them for the usual ones. With a `credentialId` that is not stored yet, it
    waits as `needs_credentials`.
    """
    account = accounts.create(call.relay, call.who, call.body.values(), call.now)
    response = answered((view(account), 201))
    response.headers["Location"] = f"/api/accounts/{account.id}"
    return response


@operation(bp, "GET", "/api/accounts", Operation(
    "list_accounts", "The user's mail accounts, in the order they were added", TAG, Scope.READ,
    {200: ("A page of accounts", says.ACCOUNTS)}, group="list_accounts", of_user=True, query=AccountsQuery,
))  # fmt: skip
def listed(call: Call) -> dict[str, Any]:
    query: AccountsQuery = call.query
    found, total = accounts.listed(call.who, query.limit, query.offset)
    return {
        "accounts": views(found),
        "count": len(found),
        "pagination": {"total": total, "limit": query.limit, "offset": query.offset},
    }


@operation(bp, "GET", "/api/accounts/<key:account_id>", Operation(
    "get_account", "One mail account", TAG, Scope.READ, {200: ("The account", says.ACCOUNT)}, group="accounts",
    of_user=True,
))  # fmt: skip
def detail(call: Call, account_id: str) -> dict[str, Any]:
    return view(accounts.find(call.who, account_id))


@operation(bp, "PUT", "/api/accounts/<key:account_id>", Operation(
    "update_account", "Change some settings of a mail account", TAG, Scope.SEND,
    {200: ("The account", says.ACCOUNT)}, group="accounts", of_user=True, body=AccountChangesBody,
    example={"accountName": "Work Email (Updated)", "syncInterval": 600}, errors=(409,),
))  # fmt: skip
def update(call: Call, account_id: str) -> dict[str, Any]:
    """Another hostname, port, encryption or username takes the stored credential away, unless a new one comes
    along: it must not be handed to another server.
    """
    return view(accounts.update(call.relay, call.who, account_id, call.body.values(), call.now))


@operation(bp, "DELETE", "/api/accounts/<key:account_id>", Operation(
    "delete_account", "Delete a mail account with all that was synced; nothing is deleted on its server", TAG,
    Scope.SEND, {204: ("Deleted", None)}, group="accounts", of_user=True,
))  # fmt: skip
def delete(call: Call, account_id: str) -> tuple[None, int]:
    """It is hidden at once, and what was synced is purged later. Mail of it that still waits in the queue is sent."""
    accounts.delete(call.who, account_id, call.now)
    return None, 204


@operation(bp, "POST", "/api/accounts/<key:account_id>/test", Operation(
    "test_account", "Connect, log in and list folders; also try its SMTP server", TAG, Scope.SEND,
    {200: ("It works", says.ACCOUNT_TEST)}, group="accounts", of_user=True, outward=True, body=AccountTestBody,
    example={"password": "account_password", "timeout": 30}, body_optional=True,
))  # fmt: skip
def test(call: Call, account_id: str) -> tuple[dict[str, Any], int]:
    """A 400 tells in `message` and `code` what does not work."""
    account = accounts.find(call.who, account_id)
    password, timeout = (call.body.password, call.body.timeout) if call.body else (None, TEST_TIMEOUT)
    works, told = account_test.run_test(call.relay, account, password, timeout, call.now)
    return told, 200 if works else 400
