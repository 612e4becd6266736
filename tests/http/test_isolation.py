"""What tenant B owns, tenant A can neither see nor touch. Every route of the application must be accounted for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from apiflask import APIFlask

from tests.support.app import CONFIG, EMAIL, Caller, tenant_caller
from tests.support.letters import add_folder, add_letter

CONFIG_PATH, EMAIL_PATH = "/api/smtp-configs/<id:config_id>", "/api/emails/<id:email_id>"

# Routes on one object, with a body where they take one: another tenant's is a 404.
ON_AN_OBJECT: dict[tuple[str, str], Any] = {
    ("GET", CONFIG_PATH): None,
    ("PUT", CONFIG_PATH): {"active": False},
    ("DELETE", CONFIG_PATH): None,
    ("POST", f"{CONFIG_PATH}/test"): {},
    ("POST", f"{CONFIG_PATH}/pause"): None,
    ("POST", f"{CONFIG_PATH}/resume"): None,
    ("GET", EMAIL_PATH): None,
    ("PATCH", EMAIL_PATH): {"priority": 1},
    ("DELETE", EMAIL_PATH): None,
    ("GET", f"{EMAIL_PATH}/events"): None,
    ("GET", f"{EMAIL_PATH}/why"): None,
    ("GET", f"{EMAIL_PATH}/raw"): None,
    ("POST", f"{EMAIL_PATH}/cancel"): None,
    ("POST", f"{EMAIL_PATH}/retry"): None,
    ("POST", f"{EMAIL_PATH}/resolve"): {"outcome": "sent"},
    ("DELETE", "/api/keys/<id:key_id>"): None,
}
# On what one user of a tenant owns: that of another user is a 404 too.
ACCOUNT_PATH = "/api/accounts/<key:account_id>"
DRAFT_PATH = "/api/compose/drafts/<key:draft_id>"
OF_A_USER: dict[tuple[str, str], Any] = {
    ("GET", ACCOUNT_PATH): None,
    ("PUT", ACCOUNT_PATH): {"isEnabled": False},
    ("DELETE", ACCOUNT_PATH): None,
    ("DELETE", "/api/credentials/<key:credential_id>"): None,
    ("GET", DRAFT_PATH): None,
    ("PUT", DRAFT_PATH): {"subject": "changed"},
    ("DELETE", DRAFT_PATH): None,
    ("POST", f"{DRAFT_PATH}/send"): None,
    ("POST", "/api/sync/<key:account_id>"): {"force": True},
    ("GET", "/api/sync/<key:account_id>/status"): None,
    ("POST", "/api/sync/<key:account_id>/cancel"): None,
    ("GET", "/api/sync/<key:account_id>/quarantined"): None,
    ("GET", "/api/sync/task/<key:task_id>"): None,
    ("GET", "/api/<key:account_id>/folders"): None,
    ("GET", "/api/<key:account_id>/folders/<id:folder_id>/messages"): None,
    ("GET", "/api/<key:account_id>/messages"): None,
    ("GET", "/api/<key:account_id>/messages/<id:message_id>"): None,
}
# Need the account's server: tests/inbox and tests/accounts/test_testing.py try them as strangers.
ON_A_SERVER = {
    ("GET", "/api/<key:account_id>/attachments/<id:part_id>/download"),
    ("PATCH", "/api/<key:account_id>/messages/<id:message_id>"),
    ("DELETE", "/api/<key:account_id>/messages/<id:message_id>"),
    ("POST", f"{ACCOUNT_PATH}/test"),
}
QUESTIONS = {"/api/<key:account_id>/messages": "?q=x"}
ON_AN_OBJECT |= {(method, "/api/suppressions/<address:address>"): None for method in ("GET", "DELETE")}
TEMPLATE_PATH = "/api/templates/<key:template>"
ON_AN_OBJECT |= {
    ("GET", TEMPLATE_PATH): None,
    ("PUT", TEMPLATE_PATH): {"subject": "changed"},
    ("DELETE", TEMPLATE_PATH): None,
    ("GET", f"{TEMPLATE_PATH}/versions"): None,
    ("POST", f"{TEMPLATE_PATH}/versions/<id:version>/restore"): None,
    ("POST", f"{TEMPLATE_PATH}/preview"): {},
    ("POST", f"{TEMPLATE_PATH}/test"): {"to": "x@example.com"},
}
# Lists and sums: nothing of another tenant's is in them.
LISTS = {
    ("GET", "/api/smtp-configs"), ("GET", "/api/emails"), ("GET", "/api/emails/status/<status>"), ("GET", "/api/keys"),
    ("GET", "/api/queue"), ("GET", "/api/suppressions"), ("GET", "/api/templates"), ("GET", "/api/suppressions/export"),
}  # fmt: skip
LISTS_OF_A_USER = {("GET", "/api/accounts"), ("GET", "/api/compose/drafts")}
# What is made belongs to the caller's tenant, and user where it has one. An id that is the caller's choice is its own.
MAKES = {
    ("POST", "/api/suppressions"),
    ("POST", "/api/suppressions/import"),
    ("POST", "/api/accounts"),
    ("POST", "/api/credentials"),
    ("PUT", "/api/credentials/<key:credential_id>"),
    ("POST", "/api/smtp-configs"),
    ("POST", "/api/emails"),
    ("POST", "/api/emails/batch"),
    ("POST", "/api/compose"),
    ("POST", "/api/compose/send"),
    ("POST", "/api/compose/draft"),
    ("POST", "/api/compose/drafts"),
    ("POST", "/api/compose/attachments"),
    ("POST", "/api/keys"),
    ("POST", "/api/templates"),
    ("POST", "/api/template-previews"),
}
SERVICE_ONLY = {
    ("POST", "/api/auth/token"), ("POST", "/api/queue/pause"), ("POST", "/api/queue/resume"), ("GET", "/api/sandbox"),
    ("DELETE", "/api/sandbox"), ("GET", "/api/sandbox/<id:message_id>"), ("GET", "/metrics"),
}  # fmt: skip
NOTHING_OF_ANYONE = {
    ("GET", "/"), ("GET", "/health"), ("GET", "/ready"), ("GET", "/openapi.json"), ("GET", "/docs"),
    ("GET", "/docs/oauth2-redirect"), ("GET", "/docs/files/<name>"), ("GET", "/static/<path:filename>"),
    ("GET", "/bootstrap/static/<path:filename>"), ("GET", "/login"), ("POST", "/login"), ("POST", "/logout"),
}  # fmt: skip

ACCOUNT = {
    "accountName": "of bea", "emailAddress": "bea@example.com", "hostname": "imap.example.com", "port": 993,
    "username": "bea", "password": "planted-imap-password", "smtp": {"hostname": "smtp.example.com"},
}  # fmt: skip


def routes(app: APIFlask) -> set[tuple[str, str]]:
    return {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def pages(app: APIFlask) -> set[tuple[str, str]]:
    """All but the login are for people of the service; controllers/pages/frame.py routes nothing without a role."""
    rules = [one for one in app.url_map.iter_rules() if one.endpoint.startswith("pages.")]
    return {
        (method, rule.rule) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    } - NOTHING_OF_ANYONE


def test_every_route_is_classified(app: APIFlask) -> None:
    known = set(ON_AN_OBJECT) | set(OF_A_USER) | LISTS | LISTS_OF_A_USER | MAKES | SERVICE_ONLY
    known |= NOTHING_OF_ANYONE | pages(app) | ON_A_SERVER
    assert routes(app) == known


@pytest.fixture
def belongings(service: Caller, tenant_b: Caller) -> dict[str, int]:
    """Ids of what tenant B owns."""
    config = tenant_b.post("/api/smtp-configs", CONFIG | {"name": "of tenant b"}).json["config_id"]
    email = tenant_b.post("/api/emails", EMAIL | {"subject": "of tenant b", "tags": ["b"]}).json["email_id"]
    key = tenant_b.post("/api/keys", {"name": "of tenant b"}).json["id"]
    gone = tenant_b.post("/api/suppressions", {"address": "gone@example.com", "detail": "of tenant b"})
    assert gone.status_code == 201
    new = {"name": "of-b", "description": "of tenant b", "subject": "of tenant b", "text": "of tenant b"}
    template = tenant_b.post("/api/templates", new)
    return {
        "<id:config_id>": config,
        "<id:email_id>": email,
        "<id:key_id>": key,
        "<address:address>": "gone@example.com",
        "<key:template>": template.json["template_id"],
        "<id:version>": 1,
    }


@pytest.fixture
def possessions(app: APIFlask, tenant_b: Caller) -> dict[str, str]:
    """Ids of what a user of tenant B owns, and all that others must not see of it."""
    bea = tenant_caller(app, "tenant-b", user="bea")
    account = bea.post("/api/accounts", ACCOUNT).json
    credential = bea.post("/api/credentials", {"password": "p"}).json["id"]
    task = bea.post(f"/api/sync/{account['id']}").json["taskId"]
    draft = {"accountId": account["id"], "to": ["x@example.com"], "subject": "of bea", "body": "of bea"}
    draft_id = bea.post("/api/compose/drafts", draft).json["draftId"]
    folder = add_folder(account["id"])
    return {
        "<key:account_id>": account["id"],
        "<key:credential_id>": credential,
        "<key:draft_id>": draft_id,
        "<key:task_id>": task,
        "<id:folder_id>": str(folder),
        "<id:message_id>": str(add_letter(account["id"], folder)),
    }


@pytest.fixture
def strangers(app: APIFlask) -> list[Caller]:
    """Each would see it, if only the tenant, or only the user, were looked at."""
    owners = [("tenant-a", "bea"), ("tenant-b", "bob"), ("tenant-a", "ann")]
    return [tenant_caller(app, tenant, user=user) for tenant, user in owners]


@pytest.mark.parametrize(("method", "rule"), sorted(OF_A_USER))
def test_another_users_object_does_not_exist(
    app: APIFlask, strangers: list[Caller], possessions: dict[str, str], method: str, rule: str
) -> None:
    path, body = path_to(rule, possessions), OF_A_USER[method, rule]
    bea = tenant_caller(app, "tenant-b", user="bea")
    before = [bea.get(one).json for one in ("/api/accounts", "/api/compose/drafts")]
    for stranger in strangers:
        answer = stranger.call(method, path, body)
        absent = stranger.call(method, path_to(rule, dict.fromkeys(possessions, "999")), body)
        assert (answer.status_code, answer.json["code"]) == (404, absent.json["code"])
    assert [bea.get(one).json for one in ("/api/accounts", "/api/compose/drafts")] == before
    assert bea.call(method, path, body).status_code in (200, 202, 204)


@pytest.mark.parametrize(("method", "rule"), sorted(LISTS_OF_A_USER))
def test_lists_hold_nothing_of_another_user(
    app: APIFlask, strangers: list[Caller], possessions: dict[str, str], method: str, rule: str
) -> None:
    path = path_to(rule, possessions)
    for stranger in strangers:
        response = stranger.call(method, path)
        assert response.status_code == 200
        assert "of bea" not in response.get_data(as_text=True)
    assert "of bea" in tenant_caller(app, "tenant-b", user="bea").call(method, path).get_data(as_text=True)


def test_a_credential_under_anothers_id_is_ones_own(app: APIFlask, possessions: dict[str, str]) -> None:
    """Whoever stores one under an id that somebody else has neither changes nor learns about that."""
    bea = tenant_caller(app, "tenant-b", user="bea")
    path = f"/api/credentials/{possessions['<key:credential_id>']}"
    for tenant, user in (("tenant-a", "bea"), ("tenant-b", "bob")):
        stranger = tenant_caller(app, tenant, user=user)
        assert stranger.put(path, {"password": "mine"}).status_code == 201
        assert stranger.delete(path).status_code == 204
    assert bea.put(path, {"password": "new"}).status_code == 200


def path_to(rule: str, belongings: Mapping[str, Any]) -> str:
    rule += QUESTIONS.get(rule, "")
    for mark, value in belongings.items():
        rule = rule.replace(mark, str(value))
    return rule.replace("<status>", "queued").replace("<id:message_id>", "1")


@pytest.mark.parametrize(("method", "rule"), sorted(ON_AN_OBJECT))
def test_another_tenants_object_does_not_exist(
    tenant_a: Caller, tenant_b: Caller, service: Caller, belongings: dict[str, int], method: str, rule: str
) -> None:
    path, body = path_to(rule, belongings), ON_AN_OBJECT[method, rule]
    before = [tenant_b.get(one).get_json() for one in ("/api/emails", "/api/keys")]
    answer = tenant_a.call(method, path, body)
    absent = tenant_a.call(method, path_to(rule, dict.fromkeys(belongings, 987_654)), body)
    assert (answer.status_code, answer.json["code"]) == (404, absent.json["code"])
    as_a = service.call(method, path, body, headers={"X-Tenant-ID": "tenant-a"})
    assert as_a.status_code == 404
    assert [tenant_b.get(one).get_json() for one in ("/api/emails", "/api/keys")] == before
    if method == "GET":
        assert tenant_b.get(path).status_code == 200


@pytest.mark.parametrize(("method", "rule"), sorted(LISTS))
def test_lists_hold_nothing_of_another_tenant(
    tenant_a: Caller, tenant_b: Caller, belongings: dict[str, int], method: str, rule: str
) -> None:
    path = path_to(rule, belongings)
    assert "of tenant b" not in tenant_a.call(method, path).get_data(as_text=True)
    if rule != "/api/queue":
        assert "of tenant b" in tenant_b.call(method, path).get_data(as_text=True)
    else:
        assert tenant_a.get(path).get_data() != tenant_b.get(path).get_data()


@pytest.mark.parametrize(
    "query", ["tag=b", "q=tenant", "recipient=ann@example.com", "ids={email}", "smtp_config_id={config}"]
)
def test_a_search_finds_nothing_of_another_tenant(
    tenant_a: Caller, belongings: dict[str, int], query: str
) -> None:
    query = query.format(email=belongings["<id:email_id>"], config=belongings["<id:config_id>"])
    assert tenant_a.get(f"/api/emails?{query}").json["emails"] == []


@pytest.mark.parametrize(("method", "rule"), sorted(SERVICE_ONLY))
def test_the_services_own_is_closed_to_tenants(
    tenant_a: Caller, belongings: dict[str, int], method: str, rule: str
) -> None:
    body = {"tenant_id": "tenant-b"} if rule == "/api/auth/token" else None
    assert tenant_a.call(method, path_to(rule, belongings), body).status_code == 403


def test_pages_lead_strangers_to_the_login(app: APIFlask, tenant_a: Caller) -> None:
    found = pages(app)
    assert len(found) > 10
    for method, rule in found:
        response = tenant_a.call(method, re.sub("<[^>]*>", "1", rule))
        assert response.status_code in (302, 303), rule
        assert response.location.partition("?")[0] == "/login", rule


def test_mail_cannot_be_pinned_to_another_tenants_config(
    tenant_a: Caller, belongings: dict[str, int]
) -> None:
    config = belongings["<id:config_id>"]
    assert tenant_a.post("/api/emails", EMAIL | {"smtp_config_id": config}).status_code == 400
    tenant_a.post("/api/smtp-configs", CONFIG)
    own = tenant_a.post("/api/emails", EMAIL).json["email_id"]
    assert tenant_a.patch(f"/api/emails/{own}", {"smtp_config_id": config}).status_code == 400


def test_what_a_tenant_makes_is_its_own(tenant_a: Caller, tenant_b: Caller) -> None:
    config = tenant_a.post("/api/smtp-configs", CONFIG).json["config_id"]
    email = tenant_a.post("/api/emails", EMAIL).json["email_id"]
    (batch,) = tenant_a.post("/api/emails/batch", {"emails": [EMAIL]}).json["results"]
    for path in (f"/api/smtp-configs/{config}", f"/api/emails/{email}", f"/api/emails/{batch['email_id']}"):
        assert (tenant_a.get(path).status_code, tenant_b.get(path).status_code) == (200, 404)


def test_a_tenant_admin_mints_keys_for_its_own_tenant_only(app: APIFlask, tenant_a: Caller) -> None:
    assert tenant_a.post("/api/keys", {"name": "mine"}).json["tenant_id"] == "tenant-a"
    assert tenant_a.post("/api/keys", {"name": "yours", "tenant_id": "tenant-b"}).status_code == 403


def test_an_idempotency_key_is_a_tenants_own(tenant_a: Caller, tenant_b: Caller) -> None:
    headers = {"Idempotency-Key": "same"}
    first = tenant_a.post("/api/emails", EMAIL, headers=headers).json["email_id"]
    second = tenant_b.post("/api/emails", EMAIL, headers=headers).json["email_id"]
    assert first != second
