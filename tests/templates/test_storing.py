"""Templates over the API: kept, changed in versions, restored, deleted."""

from __future__ import annotations

from typing import Any

import pytest
from apiflask import APIFlask

from services.principal import Scope
from services.templates import store
from tests.support.app import EMAIL, Caller, tenant_caller

TEMPLATE = {
    "name": "welcome",
    "subject": "Hi {{ name }}",
    "html": "<p>Hi {{ name }}</p>",
    "description": "First mail",
}


def make(caller: Caller, **changes: Any) -> int:
    response = caller.post("/api/templates", TEMPLATE | changes)
    assert response.status_code == 201, response.json
    assert response.headers["Location"] == f"/api/templates/{response.json['template_id']}"
    return int(response.json["template_id"])


def test_a_template_is_read_by_id_and_by_name(service: Caller) -> None:
    made = make(service)
    shown = service.get("/api/templates/welcome").json
    assert shown == service.get(f"/api/templates/{made}").json
    assert {name: shown[name] for name in TEMPLATE} == TEMPLATE
    assert (shown["version"], shown["text"], shown["variables"], shown["optional"]) == (1, None, ["name"], [])


def test_each_change_of_what_it_says_is_a_version(service: Caller) -> None:
    make(service)
    answers = [
        service.put("/api/templates/welcome", change).json["version"]
        for change in (
            {"html": "<p>2</p>"},
            {"description": "other"},
            {"text": "3"},
            {"text": "3"},
            {"html": None},
        )
    ]
    assert answers == [2, 2, 3, 3, 4]
    versions = service.get("/api/templates/welcome/versions")
    assert [(one["version"], one["in_force"]) for one in versions.json] == [
        (4, True),
        (3, False),
        (2, False),
        (1, False),
    ]
    assert versions.headers["X-Total-Count"] == "4"
    assert service.get("/api/templates/welcome?version=1").json["html"] == TEMPLATE["html"]
    assert service.get("/api/templates/welcome?version=5").json["code"] == "NO_VERSION"
    now = service.get("/api/templates/welcome").json
    assert (now["html"], now["text"], now["subject"]) == (None, "3", TEMPLATE["subject"])


def test_an_old_version_is_restored_as_a_new_one(service: Caller) -> None:
    make(service)
    service.put("/api/templates/welcome", {"html": "<p>2</p>", "text": "2"})
    assert service.post("/api/templates/welcome/versions/1/restore").json["version"] == 3
    shown = service.get("/api/templates/welcome").json
    assert (shown["html"], shown["text"]) == (TEMPLATE["html"], None)
    for number in (0, 9):
        assert service.post(f"/api/templates/welcome/versions/{number}/restore").status_code == 404


def test_only_so_many_versions_are_kept(service: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "KEPT_VERSIONS", 3)
    make(service)
    for number in range(5):
        service.put("/api/templates/welcome", {"text": str(number)})
    assert [one["version"] for one in service.get("/api/templates/welcome/versions").json] == [6, 5, 4]


def test_a_change_may_say_what_it_is_based_on(service: Caller) -> None:
    make(service)
    first = service.put("/api/templates/welcome", {"text": "a", "expected_version": 1})
    second = service.put("/api/templates/welcome", {"text": "b", "expected_version": 1})
    assert (first.status_code, second.status_code, second.json["code"]) == (200, 409, "CHANGED")
    assert service.get("/api/templates/welcome").json["text"] == "a"


def test_a_name_is_an_owners_own(service: Caller, tenant_a: Caller) -> None:
    make(service)
    assert service.post("/api/templates", TEMPLATE).json["code"] == "NAME_TAKEN"
    make(tenant_a)
    other = make(service, name="other")
    assert service.put("/api/templates/other", {"name": "welcome"}).status_code == 409
    assert service.put("/api/templates/other", {"name": "another"}).status_code == 200
    assert service.get(f"/api/templates/{other}").json["name"] == "another"
    assert service.get("/api/templates/other").status_code == 404


def test_names_that_are_none(service: Caller) -> None:
    for name in ("", "7", "007", "Welcome", "a b", "-a", "a/b", "a\n", "\u00e4", "a" * 101):
        response = service.post("/api/templates", TEMPLATE | {"name": name})
        assert (response.status_code, response.json["details"][0]["field"]) == (400, "name"), name


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"html": "{% if %}"}, "html", "TEMPLATE_SYNTAX"), ({"subject": "{{"}, "subject", "TEMPLATE_SYNTAX"),
    ({"text": "{{ a|b }}"}, "text", "TEMPLATE_SYNTAX"), ({"html": None}, "html", "MISSING_CONTENT"),
    ({"html": "", "text": ""}, "html", "MISSING_CONTENT"), ({"colour": 1}, "colour", "UNKNOWN_FIELD"),
    ({"subject": None}, "subject", "INVALID_VALUE"), ({"text": "x\ud800"}, "text", "INVALID_CHARACTER"),
]  # fmt: skip


def test_what_is_wrong_is_named(service: Caller) -> None:
    for changes, field, code in WRONG:
        response = service.post("/api/templates", TEMPLATE | changes)
        assert response.status_code == 400
        assert (field, code) in [(one["field"], one["code"]) for one in response.json["details"]]
    make(service)
    for changes, _, _ in WRONG:
        assert service.put("/api/templates/welcome", changes).status_code == 400
    assert service.get("/api/templates/welcome").json["version"] == 1


def test_the_list_is_paged_by_name(service: Caller) -> None:
    for name in ("c", "a", "b"):
        make(service, name=name)
    page = service.get("/api/templates?limit=2")
    assert [one["name"] for one in page.json] == ["a", "b"]
    assert (page.headers["X-Total-Count"], page.headers["Link"]) == (
        "3",
        '</api/templates?limit=2&offset=2>; rel="next"',
    )


def test_deleted_it_is_gone_and_its_name_is_free(service: Caller) -> None:
    made = make(service)
    email = service.post("/api/emails", EMAIL | {"template": "welcome", "variables": {"name": "Ann"}}).json[
        "email_id"
    ]
    assert service.delete("/api/templates/welcome").status_code == 204
    assert service.get(f"/api/templates/{made}").status_code == 404
    assert service.get(f"/api/emails/{email}").json["template"] == {"id": made, "name": None, "version": 1}
    assert [one["id"] for one in service.get(f"/api/emails?template={made}").json["emails"]] == [email]
    assert make(service) > made


def test_there_is_an_end_to_them(service: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_TEMPLATES", 1)
    make(service)
    assert service.post("/api/templates", TEMPLATE | {"name": "more"}).json["code"] == "TOO_MANY"


def test_scopes(app: APIFlask, tenant_a: Caller) -> None:
    make(tenant_a)
    reader, sender = (tenant_caller(app, "tenant-a", scope) for scope in (Scope.READ, Scope.SEND))
    path, to = "/api/templates/welcome", {"to": "x@example.com", "variables": {"name": "x"}}
    assert reader.get(path).status_code == reader.post(f"{path}/preview", {}).status_code == 200
    for caller in (reader, sender):
        assert caller.put(path, {"text": "x"}).status_code == caller.delete(path).status_code == 403
        assert caller.post("/api/templates", TEMPLATE).status_code == 403
        assert caller.post("/api/template-previews", {"text": "x"}).status_code == 403
    assert (reader.post(f"{path}/test", to).status_code, sender.post(f"{path}/test", to).status_code) == (
        403,
        201,
    )
    assert sender.get(path).status_code == 403
