"""What /openapi.json shows, against what a real daemon answers to it."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema_rs
import pytest

from controllers.openapi_texts import HEADERS
from tests.openapi.played import Exchange, Play


def closed(value: Any) -> Any:
    """The same schemas, but that an object has no property that they do not name."""
    if isinstance(value, dict):
        found = {name: closed(one) for name, one in value.items()}
        is_object = found.get("type") == "object" and isinstance(found.get("properties"), dict)
        return found | ({"additionalProperties": False} if is_object else {})
    return [closed(one) for one in value] if isinstance(value, list) else value


def wrong(
    schema: dict[str, Any], value: Any, described: dict[str, Any], *, strictly: bool = True
) -> list[str]:
    """What of the value is not as the schema says."""
    components = copy.deepcopy(described["components"])
    components = {"schemas": closed(components["schemas"]) if strictly else components["schemas"]}
    whole = {**(closed(schema) if strictly else schema), "components": components}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [f"{'.'.join(map(str, one.instance_path))}: {one.message}" for one in validator.iter_errors(value)]


def content_of(played: Play, one: Exchange) -> dict[str, Any] | None:
    """What the description says of this answer's body."""
    answer = played.operations[one.operation][2]["responses"][str(one.status)]
    found: dict[str, Any] | None = answer.get("content", {}).get(one.content_type)
    return found


def shape(value: Any) -> Any:
    """Which fields there are, and of which types; null is of any."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items() if one not in (None, [], {})}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return float if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value)


def test_every_operation_was_called(played: Play) -> None:
    assert {one.operation for one in played.exchanges} == set(played.operations)


def test_every_answer_is_as_it_is_described(played: Play, described: dict[str, Any]) -> None:
    """To the last field: none is missing, none is more."""
    for one in played.exchanges:
        content = content_of(played, one)
        if one.status == 204:
            assert (content, one.body) == (None, "")
            continue
        assert content, one
        assert not wrong(content["schema"], one.body, described), (one.operation, one.body)


def test_every_example_of_an_answer_is_as_the_schema_says(described: dict[str, Any]) -> None:
    shown = 0
    for methods in described["paths"].values():
        for about in methods.values():
            for status, answer in about["responses"].items():
                name = answer.get("$ref", "").rpartition("/")[2]
                answer = described["components"]["responses"][name] if name else answer
                for content in answer.get("content", {}).values():
                    assert "example" in content or status == "503", (about["operationId"], status)
                    if "example" in content:
                        assert not wrong(content["schema"], content["example"], described)
                        shown += 1
    assert shown > 300


def test_every_example_of_an_answer_is_like_the_real_one(played: Play) -> None:
    """To be mended by: python -m tests.openapi.record"""
    seen = set()
    for one in played.exchanges:
        content = content_of(played, one)
        if content is None or (one.operation, one.status) in seen:
            continue
        seen.add((one.operation, one.status))
        assert shape(content["example"]) == shape(one.body), one.operation


def test_every_example_of_a_request_is_as_the_schema_says(played: Play, described: dict[str, Any]) -> None:
    for name, (_, _, about) in played.operations.items():
        for kind, content in about.get("requestBody", {}).get("content", {}).items():
            assert "example" in content or content["examples"], name
            for example in played.examples(name) if kind == "application/json" else []:
                assert not wrong(content["schema"], example, described), name


def test_answers_carry_the_headers_that_are_described_and_no_other(played: Play) -> None:
    sent: dict[str, set[str]] = {}
    for one in played.exchanges:
        said = played.operations[one.operation][2]["responses"][str(one.status)].get("headers", {})
        found = {name for name in one.headers if name in HEADERS and not name.startswith("X-RateLimit")}
        assert found <= set(said), one.operation
        sent.setdefault(one.operation, set()).update(found)
    assert "Location" in sent["create_email"]
    assert {"Link", "X-Total-Count"} <= sent["list_smtp_configs"]


@pytest.mark.parametrize("broken", [{"priority": 9}, {"nonsense": 1}, {"recipients": "ann@example.com"}])
def test_the_schemas_refuse_what_the_api_refuses(
    played: Play, described: dict[str, Any], broken: dict[str, Any]
) -> None:
    body = played.examples("create_email")[0] | broken
    assert wrong({"$ref": "#/components/schemas/EmailBody"}, body, described, strictly=False)
    answer = played.daemon.http.post(f"{played.daemon.url}/api/emails", json=body)
    assert answer.status_code == 400
    assert not wrong({"$ref": "#/components/schemas/Error"}, answer.json(), described)
    assert answer.json()["details"][0]["field"] == next(iter(broken))
