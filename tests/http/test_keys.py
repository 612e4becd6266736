from __future__ import annotations

from apiflask import APIFlask

from models.service import ApiKey
from services.principal import Scope
from tests.support.app import Caller, caller, new_key, tenant_caller
from utils.crypto import hash_api_key


def test_a_secret_is_shown_once_and_only_its_hash_is_kept(service: Caller) -> None:
    made = service.post(
        "/api/keys", {"name": "shop", "tenant_id": "shop", "user_id": "ann", "rate_limit": 60}
    )
    assert made.status_code == 201
    secret = made.json["key"]
    assert secret.startswith("mf_")
    assert made.json["prefix"] == secret[:8]
    row = ApiKey.get_by_id(made.json["id"])
    assert bytes(row.sha256) == hash_api_key(secret)
    assert secret not in str(row.__data__)
    (listed,) = service.get("/api/keys").json
    assert listed.items() >= {
        "name": "shop", "tenant_id": "shop", "user_id": "ann", "rate_limit": 60, "scopes": ["send", "read"],
        "revoked_at": None, "last_used_at": None,
    }.items()  # fmt: skip
    assert "key" not in listed


def test_a_service_key_makes_service_keys_unless_it_names_a_tenant(service: Caller) -> None:
    assert service.post("/api/keys", {"name": "a"}).json["tenant_id"] is None
    named = service.post("/api/keys", {"name": "b"}, headers={"X-Tenant-ID": "shop"})
    assert named.json["tenant_id"] == "shop"
    other = service.post("/api/keys", {"name": "c", "tenant_id": "bank"}, headers={"X-Tenant-ID": "shop"})
    assert other.status_code == 403


def test_nobody_mints_a_key_that_reaches_further(app: APIFlask) -> None:
    ann = tenant_caller(app, "shop", user="ann")
    assert ann.post("/api/keys", {"name": "mine"}).json["user_id"] == "ann"
    assert ann.post("/api/keys", {"name": "bobs", "user_id": "bob"}).status_code == 403
    sender = tenant_caller(app, "shop", Scope.SEND, Scope.READ)
    assert sender.post("/api/keys", {"name": "x", "scopes": ["admin"]}).status_code == 403
    reader = caller(app, new_key("", Scope.READ))
    assert reader.post("/api/keys", {"name": "x"}).status_code == 403


def test_wrong_keys_are_a_400(service: Caller) -> None:
    fields = [
        {"scopes": []},
        {"scopes": ["root"]},
        {"tenant_id": "a b"},
        {"tenant_id": ""},
        {"rate_limit": 0},
        {"name": ""},
    ]
    for wrong in ({}, *({"name": "x"} | one for one in fields)):
        assert service.post("/api/keys", wrong).status_code == 400
