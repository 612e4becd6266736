from __future__ import annotations

import json
import re
from typing import Any

import pytest
from apiflask import APIFlask

from controllers.accounts import EXAMPLE as ACCOUNT
from tests.support.app import Caller


@pytest.fixture
def described(nobody: Caller) -> dict[str, Any]:
    found: dict[str, Any] = nobody.get("/openapi.json").json
    return found


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, one) for path, methods in described["paths"].items() for method, one in methods.items()
    ]


def test_every_route_of_the_api_is_described(app: APIFlask, described: dict[str, Any]) -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/") or rule.rule in ("/", "/health", "/ready", "/metrics")
    }
    assert {(path, method) for path, method, _ in operations(described)} == routes
    assert described["openapi"] == "3.1.0"


def test_every_operation_is_whole(described: dict[str, Any]) -> None:
    ids = set()
    for path, method, one in operations(described):
        assert one["summary"]
        assert set(one["tags"]) <= {tag["name"] for tag in described["tags"]}
        assert one["description"]
        assert one["operationId"] not in ids
        ids.add(one["operationId"])
        expected = {"400"} | ({"404"} if "{" in path else set()) | (set() if method == "get" else {"413"})
        if path.startswith("/api/"):
            expected |= {"401", "403", "429", "503"}
            assert one["security"]
        assert expected <= one["responses"].keys(), (path, method)
        if "requestBody" in one:
            bodies = one["requestBody"]["content"]
            assert all("example" in one or one["examples"] for one in bodies.values())


def test_what_is_answered_has_a_name(described: dict[str, Any]) -> None:
    """Generators make types of what has one; of the rest they make up a name."""
    for path, method, one in operations(described):
        for status, answer in one["responses"].items():
            schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
            assert "properties" not in schema, (path, method, status)
    for name, schema in described["components"]["schemas"].items():
        for field, value in schema.get("properties", {}).items():
            assert "properties" not in value, (name, field)
            assert "properties" not in value.get("items", {}), (name, field)


def test_all_references_lead_somewhere(described: dict[str, Any]) -> None:
    text = json.dumps(described)
    names = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names
    assert names <= described["components"]["schemas"].keys()


def test_passwords_are_write_only(described: dict[str, Any]) -> None:
    body = described["components"]["schemas"]["NewSmtpConfigBody"]["properties"]["password"]
    assert body["writeOnly"] is True


def test_the_examples_work(service: Caller, described: dict[str, Any]) -> None:
    for path, method, one in operations(described):
        body = one.get("requestBody", {}).get("content", {}).get("application/json", {})
        if method == "post" and "{" not in path and body:
            whose = {"X-Tenant-ID": "acme", "X-User-ID": "ann"} if set(one["tags"]) & OF_A_USER else {}
            for example in [one["value"] for one in body.get("examples", {}).values()] or [body["example"]]:
                response = service.post(path, here(service, whose, example), headers=whose)
                assert response.status_code in (200, 201, 202), (path, response.json)


OF_A_USER = {"Accounts", "Compose"}


def here(service: Caller, whose: dict[str, str], example: dict[str, Any]) -> dict[str, Any]:
    """The example with the id of an account that there is."""
    if "accountId" not in example:
        return example
    found = service.get("/api/accounts", headers=whose).json["accounts"]
    if not found:
        other = ACCOUNT | {"emailAddress": "other@company.com"}
        found = [service.post("/api/accounts", other, headers=whose).json]
    return example | {"accountId": found[0]["id"]}


def test_the_docs_load_nothing_from_elsewhere(nobody: Caller) -> None:
    text = nobody.get("/docs").get_data(as_text=True)
    assert "/docs/files/swagger-ui-bundle.js" in text
    assert "http" not in text.replace("http-equiv", "")
    for path in ("/docs/files/swagger-ui-bundle.js", "/docs/files/swagger-ui.css", "/static/docs.js"):
        assert nobody.get(path).status_code == 200
    assert nobody.get("/docs/files/..%2f..%2fflask_swagger_ui.py").status_code == 404
    assert nobody.get("/docs/files/index.css").status_code == 404
    assert nobody.get("/docs/oauth2-redirect").status_code == 404
