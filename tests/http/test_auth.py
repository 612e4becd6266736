from __future__ import annotations

import jwt
import pytest
from apiflask import APIFlask

from controllers.access import check_all_declared
from models.service import ApiKey
from services import tokens
from services.principal import Scope
from tests.support.app import EMAIL, JWT_SECRET, MASTER_KEY, Caller, caller, new_key, tenant_caller
from utils.clock import HOUR, MINUTE, now_ms

PUBLIC = ["/", "/health", "/openapi.json", "/docs", "/login", "/static/theme.js"]


def token(
    tenant: str = "tenant-a", user: str = "", secret: str = JWT_SECRET, lifetime: int = 600, ago: int = 0
) -> str:
    return tokens.issue(secret, tenant, user, (Scope.SEND, Scope.READ), lifetime, now_ms() - ago)[0]


@pytest.mark.parametrize("path", PUBLIC)
def test_public_paths_need_no_credential(nobody: Caller, path: str) -> None:
    assert nobody.get(path).status_code == 200


def test_readiness_needs_no_credential_and_names_each_check(nobody: Caller) -> None:
    response = nobody.get("/ready")
    assert response.status_code == (200 if response.json["status"] == "ready" else 503)
    assert response.json["checks"]


@pytest.mark.parametrize("credential", [
    {}, {"X-API-Key": ""}, {"X-API-Key": "mf_wrong"}, {"Authorization": "Bearer mf_wrong"},
    {"Authorization": MASTER_KEY},
    {"Authorization": f"Basic {MASTER_KEY}"}, {"X-Auth-Token": MASTER_KEY}, {"X-Auth-Token": "a.b.c"},
    {"X-API-Key": MASTER_KEY + "x"}, {"X-API-Key": "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")},
])  # fmt: skip
def test_a_missing_or_wrong_credential_is_a_401(nobody: Caller, credential: dict[str, str]) -> None:
    response = nobody.get("/api/emails", headers=credential)
    assert response.status_code == 401
    assert response.json["error"] == "Unauthorized"
    assert "WWW-Authenticate" in response.headers


def test_a_key_is_taken_from_both_headers(nobody: Caller) -> None:
    key = new_key("tenant-a")
    assert nobody.get("/api/emails", headers={"X-API-Key": key}).status_code == 200
    assert nobody.get("/api/emails", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_a_token_is_taken_from_both_headers(nobody: Caller) -> None:
    assert nobody.get("/api/emails", headers={"X-Auth-Token": token()}).status_code == 200
    assert nobody.get("/api/emails", headers={"Authorization": f"Bearer {token()}"}).status_code == 200


@pytest.mark.parametrize("bad", [
    lambda: token(secret="another-secret-of-32-characters!"),
    lambda: token(lifetime=60, ago=2 * MINUTE),
    lambda: jwt.encode({"tenant_id": "tenant-a"}, JWT_SECRET),
    lambda: jwt.encode({"exp": now_ms() // 1000 + 600}, JWT_SECRET),
    lambda: jwt.encode({"tenant_id": "", "exp": now_ms() // 1000 + 600}, JWT_SECRET),
    lambda: jwt.encode({"tenant_id": "a b", "exp": now_ms() // 1000 + 600}, JWT_SECRET),
    lambda: jwt.encode({"tenant_id": "a", "exp": now_ms() // 1000 + 600, "nbf": now_ms() // 1000 + 300}, JWT_SECRET),
    lambda: jwt.encode({"tenant_id": "a", "exp": now_ms() // 1000 + 600, "scopes": ["root"]}, JWT_SECRET),
    lambda: jwt.encode({"tenant_id": "a", "exp": now_ms() // 1000 + 600, "scopes": 7}, JWT_SECRET),
    lambda: jwt.encode({"tenant_id": "a", "exp": float("nan")}, JWT_SECRET),
    lambda: jwt.encode({"tenant_id": "a", "exp": now_ms() // 1000 + 600}, JWT_SECRET * 2, algorithm="HS512"),
    lambda: jwt.encode({"tenant_id": "a", "exp": now_ms() // 1000 + 600}, "", algorithm="none"),
])  # fmt: skip
def test_a_bad_token_is_a_401(nobody: Caller, bad: object) -> None:
    assert nobody.get("/api/emails", headers={"X-Auth-Token": bad()}).status_code == 401  # type: ignore[operator]


def test_a_token_without_scopes_may_send_and_read_but_not_administer(nobody: Caller) -> None:
    made = jwt.encode({"tenant_id": "a", "user_id": "u", "exp": now_ms() // 1000 + 600}, JWT_SECRET)
    headers = {"X-Auth-Token": made}
    assert nobody.get("/api/smtp-configs", headers=headers).status_code == 200
    assert nobody.get("/api/keys", headers=headers).status_code == 403


def test_a_service_key_issues_tokens_and_others_do_not(
    app: APIFlask, service: Caller, nobody: Caller
) -> None:
    body = {"tenant_id": "shop", "user_id": "ann", "scopes": ["read"], "lifetime": 60}
    issued = service.post("/api/auth/token", body).json
    headers = {"X-Auth-Token": issued["token"]}
    assert nobody.get("/api/emails", headers=headers).status_code == 200
    assert nobody.call("POST", "/api/emails", EMAIL, headers=headers).status_code == 403
    assert tenant_caller(app, "shop").post("/api/auth/token", body).status_code == 403
    assert caller(app, new_key("", Scope.READ)).post("/api/auth/token", body).status_code == 403
    assert service.post("/api/auth/token", body | {"lifetime": 86_401}).status_code == 400


@pytest.mark.parametrize(("scope", "may_send", "may_read", "may_administer"), [
    (Scope.SEND, True, False, False), (Scope.READ, False, True, False), (Scope.ADMIN, True, True, True),
])  # fmt: skip
def test_a_scope_opens_its_own_routes_alone(
    app: APIFlask, scope: Scope, may_send: bool, may_read: bool, may_administer: bool
) -> None:
    someone = tenant_caller(app, "tenant-a", scope)
    assert (someone.post("/api/emails", EMAIL).status_code == 201) is may_send
    assert (someone.get("/api/emails").status_code == 200) is may_read
    assert (someone.get("/api/keys").status_code == 200) is may_administer


def test_a_revoked_key_stops_at_once(app: APIFlask, service: Caller) -> None:
    made = service.post("/api/keys", {"name": "short-lived", "tenant_id": "tenant-a"}).json
    someone = caller(app, made["key"])
    assert someone.get("/api/emails").status_code == 200
    assert service.delete(f"/api/keys/{made['id']}").status_code == 204
    assert someone.get("/api/emails").status_code == 401
    assert service.delete(f"/api/keys/{made['id']}").status_code == 404


def test_the_last_use_of_a_key_is_noted_now_and_then(app: APIFlask, tenant_a: Caller) -> None:
    tenant_a.get("/api/emails")
    first = ApiKey.get().last_used_at
    assert first is not None
    tenant_a.get("/api/emails")
    assert ApiKey.get().last_used_at == first
    ApiKey.update(last_used_at=first - HOUR).execute()
    tenant_a.get("/api/emails")
    assert ApiKey.get().last_used_at >= first


def test_a_service_key_acts_for_the_tenant_that_it_names(
    service: Caller, tenant_a: Caller, tenant_b: Caller
) -> None:
    by_header = service.post("/api/emails", EMAIL, headers={"X-Tenant-ID": "tenant-a", "X-User-ID": "ann"})
    by_query = service.post("/api/emails?tenant_id=tenant-a", EMAIL)
    assert (by_header.status_code, by_query.status_code) == (201, 201)
    assert len(tenant_a.get("/api/emails").json["emails"]) == 2
    assert tenant_b.get("/api/emails").json["emails"] == []
    assert service.get("/api/emails", headers={"X-Tenant-ID": "tenant-b"}).json["emails"] == []


def test_a_tenants_credential_may_repeat_its_tenant_but_name_no_other(tenant_a: Caller) -> None:
    assert tenant_a.get("/api/emails?tenant_id=tenant-a").status_code == 200
    assert tenant_a.get("/api/emails?tenant_id=tenant-b").status_code == 403
    assert tenant_a.get("/api/emails", headers={"X-Tenant-ID": "tenant-b"}).status_code == 403


def test_a_key_of_a_user_may_name_no_other_user(app: APIFlask) -> None:
    ann = tenant_caller(app, "tenant-a", user="ann")
    assert ann.get("/api/emails", headers={"X-User-ID": "ann"}).status_code == 200
    assert ann.get("/api/emails", headers={"X-User-ID": "bob"}).status_code == 403


@pytest.mark.parametrize("headers", [
    {"X-Tenant-ID": ""}, {"X-Tenant-ID": "a b"}, {"X-Tenant-ID": "x" * 101}, {"X-Tenant-ID": "\u00e9"},
    {"X-Tenant-ID": "a", "X-User-ID": "b/c"},
])  # fmt: skip
def test_ids_of_tenants_and_users_are_checked(service: Caller, headers: dict[str, str]) -> None:
    assert service.get("/api/emails", headers=headers).status_code == 400


def test_a_user_is_nobody_without_a_tenant(service: Caller) -> None:
    response = service.get("/api/emails", headers={"X-User-ID": "ann"})
    assert (response.status_code, response.json["code"]) == (401, "MISSING_TENANT")


def test_header_and_query_must_agree(service: Caller) -> None:
    assert service.get("/api/emails?tenant_id=a", headers={"X-Tenant-ID": "b"}).status_code == 400


@pytest.mark.parametrize(("method", "path"), [
    ("POST", "/api/queue/pause"), ("POST", "/api/queue/resume"), ("GET", "/api/sandbox"), ("DELETE", "/api/sandbox"),
    ("GET", "/metrics"),
])  # fmt: skip
def test_what_belongs_to_the_service_is_closed_to_tenants(tenant_a: Caller, method: str, path: str) -> None:
    assert tenant_a.call(method, path).status_code == 403


def test_a_service_key_without_admin_may_not_pause_the_relay(app: APIFlask) -> None:
    assert caller(app, new_key("", Scope.SEND, Scope.READ)).post("/api/queue/pause").status_code == 403


def test_a_route_that_says_nothing_about_access_fails_at_registration(app: APIFlask) -> None:
    app.view_functions["forgotten"] = lambda: "secret"
    app.url_map.add(app.url_rule_class("/forgotten", endpoint="forgotten"))
    with pytest.raises(RuntimeError, match="/forgotten"):
        check_all_declared(app)
    assert app.test_client().get("/forgotten").status_code == 403
