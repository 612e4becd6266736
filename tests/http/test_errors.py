from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from apiflask import APIFlask

from models.database import row, rows, write
from tests.support.app import CONFIG, EMAIL, MASTER_KEY, Caller, caller, running_app
from tests.support.database import sqlite_only
from utils.clock import now_ms


def fields(response: Any) -> set[str]:
    return {one["field"] for one in response.json["details"]}


def post_raw(
    service: Caller, data: bytes, content_type: str = "application/json", path: str = "/api/emails"
) -> Any:
    return service.call("POST", path, data=data, content_type=content_type)


def test_the_envelope_names_error_message_code_and_time(service: Caller) -> None:
    response = service.post("/api/emails", {"recipients": []})
    body = response.json
    assert (response.status_code, response.mimetype) == (400, "application/json")
    assert set(body) == {"error", "message", "code", "timestamp", "details"}
    assert body["error"] == "Bad request"
    assert body["message"].startswith("subject: ")
    assert abs(body["timestamp"] - now_ms()) < 60_000


def test_every_bad_field_is_listed(service: Caller) -> None:
    wrong = {
        "subject": 7,
        "recipients": "ann@example.com",
        "priority": 6,
        "nonsense": 1,
        "tags": [1],
        "send_at": "soon",
    }
    found = fields(service.post("/api/emails", wrong))
    assert found == {"subject", "recipients", "priority", "nonsense", "tags.0", "send_at"}


def test_every_bad_address_is_listed_by_the_name_it_was_given(service: Caller) -> None:
    wrong = {
        "subject": "x",
        "to": ["ann@example.com", "no", "n o@example.com"],
        "cc": ["@"],
        "text_content": "x",
    }
    response = service.post("/api/emails", wrong)
    assert fields(response) == {"to.1", "to.2", "cc.0"}
    assert response.json["code"] == "INVALID_EMAIL_FORMAT"


def test_recipients_and_to_exclude_each_other(service: Caller) -> None:
    response = service.post("/api/emails", EMAIL | {"to": ["bob@example.com"]})
    assert response.status_code == 400
    assert "recipients and to" in response.json["message"]


@pytest.mark.parametrize("missing", ["subject", "recipients", "text_content"])
def test_what_is_missing_is_named(service: Caller, missing: str) -> None:
    response = service.post("/api/emails", {name: value for name, value in EMAIL.items() if name != missing})
    assert response.status_code == 400
    assert fields(response) == {"html_content" if missing == "text_content" else missing}


@pytest.mark.parametrize("data", [
    b"", b"{", b"[]", b"null", b'"text"', b"7", b"\xff\xfe", b'{"subject": "\xff"}', b"{'subject': 1}",
    b'{"subject": "a\nb"}',
    b'\xef\xbb\xbf{"subject": "x"}', b"[" * 100_000, b'{"a":' * 100_000, b'{"subject": "x"} trailing',
])  # fmt: skip
def test_what_is_no_json_object_is_a_400(service: Caller, data: bytes) -> None:
    assert post_raw(service, data).status_code == 400
    assert post_raw(service, data, path="/api/smtp-configs").status_code == 400


@pytest.mark.parametrize(("text", "field"), [
    ('{"subject": "a", "subject": "b"}', "subject"),
    ('{"subject": "a\\u0000b"}', "subject"),
    ('{"subject": "a", "metadata": {"deep": ["\\u0000"]}}', "metadata.deep.0"),
    ('{"subject": "\\ud800"}', "subject"),
    ('{"subject": "a", "metadata": {"x": "\\udfff"}}', "metadata"),
    ('{"subject": "a", "priority": NaN}', "body"),
    ('{"subject": "a", "priority": -Infinity}', "body"),
    ('{"subject": "a", "priority": 1e999}', "body"),
    ('{"subject": "a", "priority": 1' + "0" * 5000 + "}", "body"),
    ('{"subject": "a", "smtp_config_id": 9223372036854775808}', "smtp_config_id"),
    ('{"subject": "a", "priority": true}', "priority"),
    ('{"subject": "a", "priority": 3.0}', "priority"),
    ('{"subject": "a", "priority": "3"}', "priority"),
    ('{"subject": "a", "send_at": "2026-01-01T10:00:00"}', "send_at"),
    ('{"subject": "a", "send_at": "2026-02-30T10:00:00Z"}', "send_at"),
    ('{"subject": "a", "attachments": [{"filename": "a", "content": "%%"}]}', "attachments.0.content"),
])  # fmt: skip
def test_odd_values_are_a_400_that_names_the_field(service: Caller, text: str, field: str) -> None:
    response = post_raw(service, text.encode())
    assert response.status_code == 400
    assert field in fields(response)


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml"],
)
def test_another_content_type_is_a_400(service: Caller, content_type: str) -> None:
    response = post_raw(service, json.dumps(EMAIL).encode(), content_type)
    assert (response.status_code, response.json["code"]) == (400, "WRONG_CONTENT_TYPE")


def test_a_charset_beside_the_content_type_is_fine(service: Caller) -> None:
    assert post_raw(service, json.dumps(EMAIL).encode(), "application/json; charset=utf-8").status_code == 201


INJECTIONS = [
    {"subject": "a\r\nBcc: x@example.com"},
    {"headers": {"X-A": "b\r\nBcc: c"}},
    {"headers": {"Bcc": "x"}},
    {"sender_name": "a\nb"},
    {"recipients": ["a\r\n@example.com"]},
]


@pytest.mark.parametrize("wrong", INJECTIONS)
def test_header_injection_is_refused_at_accept(service: Caller, wrong: dict[str, Any]) -> None:
    assert service.post("/api/emails", EMAIL | wrong).status_code == 400


@pytest.mark.parametrize("query", [
    "limit=0", "limit=501", "limit=x", "limit=", "limit=1&limit=2", "nonsense=1", "status=lost", "ids=1,,2", "ids=x",
    "since=soon",
    "limit=%D9%A3", "cursor=nonsense", "q=%00", "q=", "smtp_config_id=-1", "=1",
])  # fmt: skip
def test_bad_query_parameters_are_a_400(service: Caller, query: str) -> None:
    response = service.get(f"/api/emails?{query}")
    assert response.status_code == 400
    assert response.json["details"]


def test_unknown_parameters_are_refused_where_none_are_taken(service: Caller) -> None:
    assert service.post("/api/queue/resume?force=1").status_code == 400
    assert service.get("/?x=1").status_code == 400


def test_an_unknown_body_is_refused_where_none_is_taken(service: Caller) -> None:
    email = service.post("/api/emails", EMAIL).json["email_id"]
    assert service.post(f"/api/emails/{email}/cancel", {"force": True}).status_code == 400
    assert service.post(f"/api/emails/{email}/cancel", {}).status_code == 200


def test_an_unknown_status_is_a_400(service: Caller) -> None:
    assert service.get("/api/emails/status/lost").status_code == 400


NOWHERE = [
    "/nonsense", "/api/nonsense", "/api/emails/x", "/api/emails/0x1", "/api/emails/-1",
    "/api/emails/99999999999999999999", "/api/emails/9223372036854775808", "/api//emails",
]  # fmt: skip


@pytest.mark.parametrize("path", NOWHERE)
def test_an_unknown_path_is_a_404_in_json(service: Caller, path: str) -> None:
    response = service.client.open(path, base_url="http://localhost", headers=service.headers)
    assert (response.status_code, response.json["code"]) == (404, "NOT_FOUND")


def test_an_unknown_method_is_a_405_with_allow(service: Caller) -> None:
    for method in ("PUT", "TRACE", "NONSENSE"):
        response = service.call(method, "/api/emails")
        assert (response.status_code, response.json["code"]) == (405, "METHOD_NOT_ALLOWED")
        assert {"GET", "POST"} <= set(response.headers["Allow"].split(", "))


def test_a_body_over_the_limit_is_a_413(tmp_path: Any) -> None:
    with running_app(tmp_path, MAX_MESSAGE_MB="1") as app:
        service = caller(app, MASTER_KEY)
        response = service.post("/api/emails", EMAIL | {"html_content": "x" * 2_000_001})
        assert (response.status_code, response.json["code"]) == (413, "TOO_LARGE")
        assert service.post("/api/emails", EMAIL | {"html_content": "x" * 1_000_001}).status_code == 413
        assert service.post("/api/emails", EMAIL | {"html_content": "x" * 900_000}).status_code == 201
        assert service.post("/api/keys", {"name": "x" * 1_000_001}).status_code == 413


def test_a_chunked_body_over_the_limit_is_a_413(tmp_path: Any) -> None:
    with running_app(tmp_path, MAX_MESSAGE_MB="1") as app:
        service = caller(app, MASTER_KEY)
        for size, status in ((2_500_000, 413), (900_000, 201)):
            data = json.dumps(EMAIL | {"html_content": "x" * size}).encode()
            chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
            response = service.call(
                "POST", "/api/emails", input_stream=io.BytesIO(data), content_type="application/json",
                environ_overrides=chunked,
            )  # fmt: skip
            assert response.status_code == status


@sqlite_only
def test_a_full_disk_is_a_507(tmp_path: Any) -> None:
    with running_app(tmp_path, MIN_FREE_MB="1000000") as app:
        response = caller(app, MASTER_KEY).post("/api/emails", EMAIL)
        assert (response.status_code, response.json["code"]) == (507, "STORAGE_FULL")


@sqlite_only
def test_a_disk_that_fills_up_meanwhile_is_a_507(service: Caller) -> None:
    def fill() -> None:
        (pages,) = row("PRAGMA page_count") or (0,)
        rows(f"PRAGMA max_page_count = {pages}")

    write(fill)
    response = service.post("/api/emails", EMAIL | {"html_content": "x" * 500_000})
    assert (response.status_code, response.json["code"]) == (507, "STORAGE_FULL")
    assert service.get("/api/emails").json["emails"] == []


def test_an_accident_is_a_500_without_internals(app: APIFlask, service: Caller, caplog: Any) -> None:
    del app.extensions["mailferry"]
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with caplog.at_level(logging.ERROR):
        response = service.get("/api/emails", headers={"X-Request-ID": "mine-1"})
    assert response.status_code == 500
    assert response.json["code"] == "INTERNAL"
    assert "KeyError" not in response.get_data(as_text=True)
    assert response.headers["X-Request-ID"] == "mine-1"
    assert any("request_failed" in record.getMessage() for record in caplog.records)


def test_a_request_id_is_given_back_when_it_is_sane(nobody: Caller) -> None:
    assert nobody.get("/health", headers={"X-Request-ID": "abc-1.2_3"}).headers["X-Request-ID"] == "abc-1.2_3"
    for odd in ("a b", "x" * 65, "<script>", ""):
        given = nobody.get("/health", headers={"X-Request-ID": odd}).headers["X-Request-ID"]
        assert len(given) == 16
        assert given != odd


def test_a_wrong_config_names_its_fields(service: Caller) -> None:
    wrong = CONFIG | {"smtp_port": 70_000, "use_tls": "yes", "password": 7, "colour": "red"}
    assert fields(service.post("/api/smtp-configs", wrong)) == {"smtp_port", "use_tls", "password", "colour"}
