"""The requests about sync, folders, messages and attachments of the documents about accounts, as written there but for
a credential, hosts and ids; and what test_seeds.py leaves out of those about accounts. Those about composing are in
composing/test_seeds.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from tests.accounts.test_seeds import BY_HEADER, BY_QUERY, GMAIL, POP3, WORK
from tests.support.app import MASTER_KEY, Caller, caller, running_app
from tests.support.dovecot import HOST, PASSWORD, Dovecot, shared
from tests.support.syncing import letter
from tests.sync.test_http import eventually, polling
from utils.clock import HOUR, now_ms

WITH_FILE = b"""From: Bob <sender@example.com>\r
To: recipient@example.com\r
Cc: cc@example.com\r
Subject: Project Update\r
Message-ID: <update@example.com>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/html\r
\r
<p>Here it is</p>\r
--b\r
Content-Type: application/pdf\r
Content-Disposition: attachment; filename=document.pdf\r
\r
a document\r
--b--\r
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[APIFlask]:
    with running_app(tmp_path, ALLOW_PRIVATE_HOSTS="on") as app:
        yield app


@pytest.fixture
def service(app: APIFlask) -> Caller:
    return caller(app, MASTER_KEY)


@pytest.fixture
def server() -> Dovecot:
    return shared()


@pytest.fixture
def account(service: Caller, server: Dovecot) -> str:
    """The README's, on a server with two letters."""
    name = server.user()
    server.deliver(name, letter(1))
    server.deliver(name, WITH_FILE)
    here = {"hostname": HOST, "port": server.imap, "encryption": "none", "username": name}
    made = service.post("/api/accounts", WORK | here | {"emailAddress": name}, headers=BY_HEADER)
    assert made.status_code == 201
    assert service.put("/api/credentials/uuid", {"password": PASSWORD}, headers=BY_HEADER).status_code == 201
    return str(made.json["id"])


def test_the_sync_of_the_readme(app: APIFlask, service: Caller, account: str) -> None:
    body = {"forceFullSync": False, "folderIds": ["inbox", "sent"]}
    started = service.post(f"/api/sync/{account}", body, headers=BY_HEADER)
    assert started.status_code == 202
    assert started.json.keys() >= {
        "syncId", "accountId", "status", "startedAt", "estimatedCompletionAt", "progressMessage",
    }  # fmt: skip
    assert (started.json["accountId"], started.json["status"]) == (account, "pending")
    assert started.json["estimatedCompletionAt"] > started.json["startedAt"] > now_ms() - HOUR
    asked = f"{BY_QUERY}&syncId={started.json['syncId']}"
    status = service.get(f"/api/sync/{account}/status?{asked}")
    assert (status.status_code, status.json["syncId"]) == (200, started.json["syncId"])
    cancelled = service.post(f"/api/sync/{account}/cancel?{asked}")
    assert (cancelled.status_code, cancelled.json["status"]) == (200, "cancelled")
    with polling(app):
        again = service.post(f"/api/sync/{account}", body, headers=BY_HEADER).json
        asked = f"{BY_QUERY}&syncId={again['syncId']}"
        eventually(lambda: service.get(f"/api/sync/{account}/status?{asked}").json["status"] == "success")


def test_all_of_the_openapi_document(app: APIFlask, service: Caller, account: str) -> None:
    token = service.post(
        "/api/auth/token", {"tenant_id": BY_HEADER["X-Tenant-ID"], "user_id": BY_HEADER["X-User-ID"]}
    )
    person = Caller(app.test_client(), {"Authorization": f"Bearer {token.json['token']}"})
    _check_sync(app, person, account)
    inbox = _check_folders(person, account)
    message = _check_list(person, account, inbox)
    part = _check_detail(person, account, message)
    _check_patch(person, account, message)
    download = person.get(f"/api/{account}/attachments/{part['id']}/download")
    assert (download.status_code, download.get_data()) == (200, b"a document")
    assert app.test_client().get(part["downloadUrl"]).get_data() == b"a document"  # signed


def _check_sync(app: APIFlask, person: Caller, account: str) -> None:
    started = person.post(f"/api/sync/{account}", {"force": False, "folders": ["INBOX", "Sent"]})
    assert started.status_code == 202
    assert started.json.items() >= {"status": "pending", "message": "Sync started in background"}.items()
    path = f"/api/sync/task/{started.json['taskId']}"
    assert person.get(path).json.items() >= {"status": "pending", "progress": 0}.items()
    with polling(app):
        done = eventually(lambda: (task := person.get(path).json)["status"] == "success" and task)
    assert (done["taskId"], done["progress"]) == (started.json["taskId"], 100)
    assert done["result"].items() >= {"messagesAdded": 2, "messagesUpdated": 0, "messagesRemoved": 0}.items()
    assert done["result"]["foldersSync"] >= 1
    missing = person.get("/api/sync/task/abc123def456")
    assert (missing.status_code, missing.json["error"]) == (404, "Not found")


def _check_folders(person: Caller, account: str) -> str:
    found = person.get(f"/api/{account}/folders").json
    assert found["total"] == len(found["folders"])
    inbox = next(one for one in found["folders"] if one["type"] == "inbox")
    assert inbox.items() >= {
        "accountId": account, "name": "INBOX", "displayName": "Inbox", "parentId": None, "messageCount": 2,
        "unreadCount": 2,
    }.items()  # fmt: skip
    assert inbox["syncedAt"] > now_ms() - HOUR
    return str(inbox["id"])


def _check_list(person: Caller, account: str, inbox: str) -> str:
    path = f"/api/{account}/folders/{inbox}/messages"
    plain = person.get(path).json
    assert plain["pagination"].items() >= {"total": 2, "limit": 50, "offset": 0}.items()
    assert person.get(f"{path}?limit=50&offset=0&sort=receivedAt:desc&filter=all").json == plain
    for sort in ("receivedAt:asc", "from:asc", "from:desc"):
        shown = person.get(f"{path}?sort={sort}").json["messages"]
        assert sorted(one["id"] for one in shown) == sorted(one["id"] for one in plain["messages"])
    assert person.get(f"{path}?filter=read").json["messages"] == []
    assert len(person.get(f"{path}?filter=unread&limit=1&offset=1").json["messages"]) == 1
    update = next(one for one in plain["messages"] if one["subject"] == "Project Update")
    assert update.items() >= {
        "accountId": account, "folderId": inbox, "from": "sender@example.com", "to": ["recipient@example.com"],
        "cc": ["cc@example.com"], "bcc": [], "preview": "Here it is", "isRead": False, "isStarred": False,
        "isSpam": False, "isDeleted": False, "attachmentCount": 1,
    }.items()  # fmt: skip
    assert {"receivedAt", "createdAt", "updatedAt"} <= update.keys()
    return str(update["id"])


def _check_detail(person: Caller, account: str, message: str) -> dict[str, Any]:
    shown = person.get(f"/api/{account}/messages/{message}").json
    assert "Here it is" in shown["body"]
    assert "<p>Here it is</p>" in shown["bodyHtml"]
    assert shown["headers"]["Subject"] == "Project Update"
    assert shown["conversationId"]
    (part,) = shown["attachments"]
    assert part.items() >= {
        "messageId": message, "filename": "document.pdf", "mimeType": "application/pdf", "size": 10, "contentId": None,
        "isInline": False,
    }.items()  # fmt: skip
    return dict(part)


def _check_patch(person: Caller, account: str, message: str) -> None:
    changes = {"isRead": True, "isStarred": False, "labels": ["work", "important"]}
    changed = person.patch(f"/api/{account}/messages/{message}", changes)
    assert changed.status_code == 200
    assert changed.json.items() >= {"id": message, "isRead": True, "isStarred": False}.items()
    assert sorted(changed.json["labels"]) == ["important", "work"]
    assert "bodyHtml" in changed.json


@pytest.mark.parametrize(
    "body", [{"password": "account_password", "timeout": 30}, {"password": "account-password"}]
)
def test_the_test_of_a_connection(
    service: Caller, account: str, server: Dovecot, body: dict[str, Any]
) -> None:
    path = f"/api/accounts/{account}/test"
    refused = service.post(path, body, headers=BY_HEADER)
    assert refused.status_code == 400
    assert refused.json.items() >= {
        "success": False, "error": "Connection failed", "protocol": "imap", "server": f"{HOST}:{server.imap}",
    }.items()  # fmt: skip
    assert refused.json["message"].startswith("Invalid credentials")
    good = service.post(path, body | {"password": PASSWORD}, headers=BY_HEADER)
    assert good.status_code == 200
    assert good.json.items() >= {
        "success": True, "protocol": "imap", "server": f"{HOST}:{server.imap}", "message": "Connection successful",
    }.items()  # fmt: skip
    assert good.json["folders"] >= len(good.json["folderDetails"]) > 0
    assert good.json["folderDetails"][0].keys() >= {"name", "displayName", "type", "isSelectable"}
    assert min(refused.json["timestamp"], good.json["timestamp"]) > now_ms() - HOUR


def test_the_whole_update_of_the_api_document_changes_no_address(service: Caller) -> None:
    """All of its fields at once; the address alone is refused, as decided."""
    made = service.post("/api/accounts", WORK, headers=BY_HEADER).json
    shown = {
        "accountName": "Updated Name", "emailAddress": "newemail@example.com", "hostname": "newimap.example.com",
        "port": 143, "encryption": "starttls", "username": "newuser@example.com", "isSyncEnabled": False,
        "syncInterval": 600, "isEnabled": False,
    }  # fmt: skip
    path = f"/api/accounts/{made['id']}"
    refused = service.put(path, shown, headers=BY_HEADER)
    assert (refused.status_code, refused.json["code"]) == (400, "EMAIL_IMMUTABLE")
    assert service.get(path, headers=BY_HEADER).json == made
    del shown["emailAddress"]
    assert service.put(path, shown, headers=BY_HEADER).json.items() >= shown.items()


def test_the_lists_of_the_openapi_document(service: Caller) -> None:
    made = [service.post("/api/accounts", body, headers=BY_HEADER).json for body in (GMAIL, POP3)]
    listed = service.get("/api/accounts?limit=100&offset=0", headers=BY_HEADER).json
    assert listed["accounts"] == made
    assert listed["pagination"] == {"total": 2, "limit": 100, "offset": 0}
    changed = {"password": "SecurePassword123!"}
    assert service.put(f"/api/accounts/{made[0]['id']}", changed, headers=BY_HEADER).status_code == 200


def test_the_curls_of_the_api_document(service: Caller) -> None:
    """All of them name tenant and user in headers, also where the text above them has a query."""
    made = service.post("/api/accounts", WORK, headers=BY_HEADER).json
    path = f"/api/accounts/{made['id']}"
    assert service.get("/api/accounts", headers=BY_HEADER).json["accounts"] == [made]
    assert service.get(path, headers=BY_HEADER).json == made
    assert (
        service.put(path, {"accountName": "Updated Gmail"}, headers=BY_HEADER).json["accountName"]
        == "Updated Gmail"
    )
    assert service.delete(path, headers=BY_HEADER).status_code == 204


def test_errors_are_as_the_documents_show_them(app: APIFlask, service: Caller) -> None:
    wrong = service.post("/api/accounts", WORK | {"emailAddress": "user"}, headers=BY_HEADER)
    assert wrong.json.items() >= {"error": "Bad request", "code": "INVALID_EMAIL_FORMAT"}.items()
    nobody = app.test_client().get("/api/accounts", headers=BY_HEADER)
    assert (nobody.status_code, nobody.json["error"]) == (401, "Unauthorized")
    missing = service.get("/api/accounts/cuid123", headers=BY_HEADER)
    assert (missing.status_code, missing.json["error"]) == (404, "Not found")
    health = app.test_client().get("/health")
    assert (health.status_code, health.json["status"]) == (200, "healthy")
    assert health.json.keys() >= {"service", "timestamp"}
    token = service.post(
        "/api/auth/token", {"tenant_id": BY_HEADER["X-Tenant-ID"], "user_id": BY_HEADER["X-User-ID"]}
    )
    person = Caller(app.test_client(), {"X-Auth-Token": token.json["token"], **BY_HEADER})
    answers = [person.post("/api/sync/nobody") for _ in range(6)]
    assert [one.status_code for one in answers] == [404] * 5 + [429]
    assert answers[5].json["error"] == "Rate limit exceeded"
    assert (answers[5].headers["X-RateLimit-Limit"], answers[5].headers["X-RateLimit-Remaining"]) == (
        "5",
        "0",
    )
