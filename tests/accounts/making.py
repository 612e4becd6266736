"""Accounts made over HTTP."""

from __future__ import annotations

from typing import Any

from tests.support.app import Caller

WORK = {
    "accountName": "Work Email",
    "emailAddress": "user@company.com",
    "hostname": "imap.company.com",
    "port": 993,
    "username": "user@company.com",
    "password": "planted-imap-password",
}
SMTP = {"hostname": "smtp.company.com"}


def make(caller: Caller, **changes: Any) -> dict[str, Any]:
    """WORK with changes; None takes a field away."""
    body = {name: value for name, value in (WORK | changes).items() if value is not None}
    response = caller.post("/api/accounts", body)
    assert response.status_code == 201, response.json
    made: dict[str, Any] = response.json
    return made


def show(caller: Caller, account: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = caller.get(f"/api/accounts/{account['id']}").json
    return shown


def change(caller: Caller, account: dict[str, Any], **changes: Any) -> Any:
    return caller.put(f"/api/accounts/{account['id']}", changes)


def delete(caller: Caller, account: dict[str, Any]) -> Any:
    return caller.delete(f"/api/accounts/{account['id']}")
