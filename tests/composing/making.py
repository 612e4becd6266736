"""Accounts that can send, for tests of composing."""

from __future__ import annotations

import base64
from typing import Any

from tests.support.app import Caller
from tests.support.dovecot import PASSWORD


def account(caller: Caller, *, smtp_port: int | None = 9, **fields: Any) -> str:
    """The id of a new account of the caller's user. `smtp_port`: of the server that it sends through, in plain text;
    None: it has none."""
    address = fields.pop(
        "emailAddress", f"{caller.headers['X-User-ID']}@{caller.headers['X-Tenant-ID']}.test"
    )
    smtp = {"hostname": "127.0.0.1", "port": smtp_port, "encryption": "none", "displayName": "Ann"}
    body = {
        "accountName": "Work", "emailAddress": address, "hostname": "127.0.0.1", "port": 9, "encryption": "none",
        "username": address, "password": PASSWORD, **({"smtp": smtp} if smtp_port else {}), **fields,
    }  # fmt: skip
    response = caller.post("/api/accounts", body)
    assert response.status_code == 201, response.json
    return str(response.json["id"])


def file(name: str = "note.txt", content: bytes = b"a note", **more: str) -> dict[str, str]:
    """A file as JSON carries it."""
    data = base64.b64encode(content).decode()
    return {"filename": name, "contentType": "text/plain", "data": data, **more}


def upload(caller: Caller, name: str = "note.txt", content: bytes | None = None) -> str:
    response = caller.post(
        "/api/compose/attachments", file(name, name.encode() if content is None else content)
    )
    assert response.status_code == 201, response.json
    return str(response.json["id"])


def draft(caller: Caller, account_id: str, **fields: Any) -> dict[str, Any]:
    response = caller.post("/api/compose/drafts", {"accountId": account_id, **fields})
    assert response.status_code == 201, response.json
    saved: dict[str, Any] = response.json
    return saved
