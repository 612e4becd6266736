"""The requests of the three documents about accounts, as written there but for a credential; and their decided
differences (docs/decisions.md)."""

from __future__ import annotations

from typing import Any

import pytest

from services.principal import Scope
from tests.support.app import MASTER_KEY, Caller, caller, new_key

TENANT, USER = "550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440001"
BY_HEADER = {"X-Tenant-ID": TENANT, "X-User-ID": USER}
BY_QUERY = f"tenant_id={TENANT}&user_id={USER}"

WORK = {
    "accountName": "Work Email", "emailAddress": "user@company.com", "protocol": "imap",
    "hostname": "imap.company.com", "port": 993, "encryption": "tls", "username": "user@company.com",
    "credentialId": "uuid", "isSyncEnabled": True, "syncInterval": 300,
}  # fmt: skip
CURL = {
    "accountName": "Gmail", "emailAddress": "user@gmail.com", "hostname": "imap.gmail.com", "port": 993,
    "username": "user@gmail.com", "credentialId": "cred-789",
}  # fmt: skip
GMAIL = {
    "accountName": "Gmail", "emailAddress": "user@gmail.com", "protocol": "imap", "hostname": "imap.gmail.com",
    "port": 993, "encryption": "tls", "username": "user@gmail.com", "password": "app-specific-password",
    "isSyncEnabled": True, "syncInterval": 300,
}  # fmt: skip
POP3 = {
    "accountName": "Old Email", "emailAddress": "user@oldmail.com", "protocol": "pop3", "hostname": "mail.oldmail.com",
    "port": 995, "encryption": "tls", "username": "user", "password": "password123", "isSyncEnabled": False,
}  # fmt: skip
WRONG: list[tuple[str, Any]] = [
    ("emailAddress", "user"), ("port", 0), ("port", 65_536), ("port", "993"), ("protocol", "exchange"),
    ("encryption", "ssl"), ("syncInterval", 59), ("syncInterval", 3_601), ("isSyncEnabled", "yes"), ("nonsense", 1),
]  # fmt: skip
DETAILS = {"tenantId", "userId", "isSyncing", "lastSyncAt", "isEnabled", "createdAt", "updatedAt", "id"}


@pytest.fixture
def app(tmp_path: Any) -> Any:
    from tests.support.app import running_app

    with running_app(tmp_path) as app:
        yield app


@pytest.fixture
def service(app: Any) -> Caller:
    return caller(app, MASTER_KEY)


def without_secret(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "password"}


@pytest.mark.parametrize("body", [WORK, CURL, GMAIL, POP3])
def test_it_creates_an_account(service: Caller, body: dict[str, Any]) -> None:
    response = service.post("/api/accounts", body, headers=BY_HEADER)
    assert response.status_code == 201
    made = response.json
    assert made.items() >= without_secret(body).items()
    assert made.keys() >= DETAILS
    assert "password" not in made
    assert made.items() >= {
        "tenantId": TENANT, "userId": USER, "lastSyncAt": None, "isSyncing": False, "isEnabled": True,
        "protocol": body.get("protocol", "imap"), "encryption": "tls", "isSyncEnabled": body.get("isSyncEnabled", True),
        "syncInterval": 300,
    }.items()  # fmt: skip
    assert made["createdAt"] == made["updatedAt"] > 1_706_033_200_000
    assert response.headers["Location"] == f"/api/accounts/{made['id']}"


def test_an_account_whose_credential_is_not_stored_yet_waits_for_it(service: Caller) -> None:
    made = service.post("/api/accounts", CURL, headers=BY_HEADER).json
    assert made["state"] == "needs_credentials"
    stored = service.put(
        "/api/credentials/cred-789", {"password": "app-specific-password"}, headers=BY_HEADER
    )
    assert stored.status_code == 201
    assert service.get(f"/api/accounts/{made['id']}", headers=BY_HEADER).json["state"] == "active"
    assert (
        service.post("/api/accounts", GMAIL | {"emailAddress": "b@gmail.com"}, headers=BY_HEADER).json[
            "state"
        ]
        == "active"
    )


def test_it_lists_accounts_by_query_and_by_header(service: Caller) -> None:
    empty = service.get(f"/api/accounts?{BY_QUERY}").json
    assert empty == {"accounts": [], "count": 0, "pagination": {"total": 0, "limit": 100, "offset": 0}}
    made = [service.post("/api/accounts", body, headers=BY_HEADER).json for body in (WORK, GMAIL)]
    listed = service.get(f"/api/accounts?{BY_QUERY}").json
    assert listed["accounts"] == made
    assert (listed["count"], listed["pagination"]) == (2, {"total": 2, "limit": 100, "offset": 0})
    assert service.get("/api/accounts", headers=BY_HEADER).json == listed
    second = service.get(f"/api/accounts?{BY_QUERY}&limit=1&offset=1").json
    assert second == {"accounts": made[1:], "count": 1, "pagination": {"total": 2, "limit": 1, "offset": 1}}


def test_it_shows_an_account(service: Caller) -> None:
    made = service.post("/api/accounts", WORK, headers=BY_HEADER).json
    assert service.get(f"/api/accounts/{made['id']}?{BY_QUERY}").json == made
    assert service.get(f"/api/accounts/{made['id']}", headers=BY_HEADER).json == made


@pytest.mark.parametrize("changes", [
    {"accountName": "Updated Gmail"},
    {
        "accountName": "Work Email (Updated)", "hostname": "mail.company.com", "port": 993, "isSyncEnabled": True,
        "syncInterval": 600,
    },
    {
        "accountName": "Updated Name", "hostname": "newimap.example.com", "port": 143, "encryption": "starttls",
        "username": "newuser@example.com", "isSyncEnabled": False, "syncInterval": 600, "isEnabled": False,
    },
])  # fmt: skip
def test_it_updates_an_account(service: Caller, changes: dict[str, Any]) -> None:
    made = service.post("/api/accounts", WORK, headers=BY_HEADER).json
    response = service.put(f"/api/accounts/{made['id']}", changes, headers=BY_HEADER)
    assert response.status_code == 200
    assert response.json == made | changes | {"updatedAt": response.json["updatedAt"]}
    assert response.json["updatedAt"] >= made["updatedAt"]
    assert service.get(f"/api/accounts/{made['id']}", headers=BY_HEADER).json == response.json


def test_an_address_cannot_be_changed_but_may_be_repeated(service: Caller) -> None:
    path = f"/api/accounts/{service.post('/api/accounts', WORK, headers=BY_HEADER).json['id']}"
    refused = service.put(path, {"emailAddress": "newemail@example.com"}, headers=BY_HEADER)
    assert (refused.status_code, refused.json["code"]) == (400, "EMAIL_IMMUTABLE")
    same = service.put(path, {"emailAddress": "user@COMPANY.com", "syncInterval": 600}, headers=BY_HEADER)
    assert (same.status_code, same.json["emailAddress"]) == (200, "user@company.com")


def test_it_deletes_an_account(service: Caller) -> None:
    path = f"/api/accounts/{service.post('/api/accounts', WORK, headers=BY_HEADER).json['id']}"
    assert service.delete(f"{path}?{BY_QUERY}").status_code == 204
    for again in (service.delete(f"{path}?{BY_QUERY}"), service.get(path, headers=BY_HEADER)):
        assert again.status_code == 404
    assert service.get(f"/api/accounts?{BY_QUERY}").json["count"] == 0
    assert service.post("/api/accounts", WORK, headers=BY_HEADER).status_code == 201


def test_a_second_account_for_an_address_is_a_conflict(service: Caller) -> None:
    service.post("/api/accounts", WORK, headers=BY_HEADER)
    again = service.post("/api/accounts", WORK | {"emailAddress": "User@company.com"}, headers=BY_HEADER)
    assert again.status_code == 409
    assert again.json.items() >= {"error": "Email conflict", "code": "EMAIL_DUPLICATE"}.items()
    other = {"X-Tenant-ID": TENANT, "X-User-ID": "another"}
    assert service.post("/api/accounts", WORK, headers=other).status_code == 201


def test_a_required_field_is_named(service: Caller) -> None:
    for missing in ("accountName", "emailAddress", "hostname", "port", "username", "credentialId"):
        body = {name: value for name, value in WORK.items() if name != missing}
        response = service.post("/api/accounts", body, headers=BY_HEADER)
        assert response.status_code == 400
        assert missing in response.json["message"]
        assert response.json["error"] == "Bad request"


def test_a_wrong_field_is_named(service: Caller) -> None:
    made = service.post("/api/accounts", WORK, headers=BY_HEADER).json
    for field, value in WRONG:
        other = WORK | {"emailAddress": "other@company.com", field: value}
        answers = [service.post("/api/accounts", other, headers=BY_HEADER)]
        if field not in ("protocol", "nonsense"):
            answers.append(service.put(f"/api/accounts/{made['id']}", {field: value}, headers=BY_HEADER))
        for one in answers:
            assert one.status_code == 400
            assert [wrong["field"] for wrong in one.json["details"]] == [field]


def test_a_wrong_address_has_the_documents_code(service: Caller) -> None:
    response = service.post("/api/accounts", WORK | {"emailAddress": "user"}, headers=BY_HEADER)
    assert response.json["code"] == "INVALID_EMAIL_FORMAT"


def test_the_bounds_of_the_interval_are_allowed(service: Caller) -> None:
    for value in (60, 3_600):
        body = WORK | {"syncInterval": value, "emailAddress": f"user{value}@company.com"}
        assert service.post("/api/accounts", body, headers=BY_HEADER).status_code == 201


def test_protocol_and_encryption_are_taken_in_any_case(service: Caller) -> None:
    body = WORK | {"protocol": "POP3", "encryption": "StartTLS"}
    made = service.post("/api/accounts", body, headers=BY_HEADER).json
    assert (made["protocol"], made["encryption"]) == ("pop3", "starttls")


OPERATIONS: list[tuple[str, str, Any]] = [
    ("POST", "/api/accounts", WORK), ("GET", "/api/accounts", None), ("GET", "/api/accounts/account-123", None),
    ("PUT", "/api/accounts/account-123", {"accountName": "x"}), ("DELETE", "/api/accounts/account-123", None),
    ("POST", "/api/accounts/account-123/test", {"password": "account-password"}),
    ("POST", "/api/credentials", {"password": "x"}), ("PUT", "/api/credentials/cred-789", {"password": "x"}),
    ("DELETE", "/api/credentials/cred-789", None),
]  # fmt: skip


def test_who_names_no_tenant_or_no_user_is_a_401(service: Caller) -> None:
    for method, path, body in OPERATIONS:
        for headers in ({}, {"X-Tenant-ID": TENANT}, {"X-User-ID": USER}):
            assert service.call(method, path, body, headers=headers).status_code == 401
        if method in ("GET", "DELETE"):
            assert service.call(method, f"{path}?tenant_id={TENANT}").status_code == 401
        known = service.call(method, path, body, headers=BY_HEADER)
        assert known.status_code == 404 if "123" in path else known.status_code in (200, 201, 204)


def test_an_unknown_account_is_a_404(service: Caller) -> None:
    response = service.get("/api/accounts/cuid123", headers=BY_HEADER)
    assert (response.status_code, response.json["error"]) == (404, "Not found")
    assert "cuid123" in response.json["message"]


def test_a_users_own_token_does_all_of_it(app: Any, service: Caller) -> None:
    body = {"tenant_id": TENANT, "user_id": USER}
    token = service.post("/api/auth/token", body).json["token"]
    for headers in ({"Authorization": f"Bearer {token}"}, {"X-Auth-Token": token, **BY_HEADER}):
        person = Caller(app.test_client(), headers)
        made = person.post("/api/accounts", GMAIL)
        assert made.status_code == 201
        path = f"/api/accounts/{made.json['id']}"
        assert person.put(path, {"syncInterval": 600}).json["syncInterval"] == 600
        assert person.get("/api/accounts").json["count"] == 1
        assert person.delete(path).status_code == 204


def test_who_may_only_read_changes_nothing(app: Any, service: Caller) -> None:
    made = service.post("/api/accounts", WORK, headers=BY_HEADER).json
    reader = caller(app, new_key(TENANT, Scope.READ, user=USER))
    assert reader.get(f"/api/accounts/{made['id']}").status_code == 200
    for method, path, body in (
        ("POST", "/api/accounts", GMAIL), ("PUT", f"/api/accounts/{made['id']}", {"isEnabled": False}),
        ("DELETE", f"/api/accounts/{made['id']}", None),
        ("PUT", "/api/credentials/uuid", {"password": "x"}),
    ):  # fmt: skip
        assert reader.call(method, path, body).status_code == 403
    assert reader.get("/api/accounts").json["accounts"] == [made]


def test_the_documents_rate_limits_hold(app: Any) -> None:
    def statuses(person: Caller, method: str, path: str, times: int, body: Any = None) -> set[int]:
        return {person.call(method, path, body).status_code for _ in range(times)}

    person = caller(app, new_key(TENANT, user=USER))
    assert statuses(person, "GET", "/api/accounts", 100) == {200}
    limited = person.get("/api/accounts")
    assert (limited.status_code, limited.headers["X-RateLimit-Limit"]) == (429, "100")
    assert statuses(person, "POST", "/api/accounts", 10, {}) == {400}
    assert person.post("/api/accounts", {}).status_code == 429
    assert statuses(person, "GET", "/api/accounts/nobody", 50) == {404}
    assert person.get("/api/accounts/nobody").status_code == 429
    another = caller(app, new_key(TENANT, user=USER))
    assert another.get("/api/accounts").headers["X-RateLimit-Remaining"] == "99"
