from __future__ import annotations

from tests.support.app import EMAIL, Caller


def test_a_permissive_batch_takes_what_is_right(service: Caller) -> None:
    wrong = [EMAIL | {"priority": 9}, {}, EMAIL | {"recipients": ["no"]}]
    response = service.post("/api/emails/batch", {"emails": [EMAIL, *wrong, EMAIL]})
    assert response.status_code == 200
    body = response.json
    assert (body["accepted"], body["rejected"]) == (2, 3)
    assert [one["index"] for one in body["results"]] == [0, 1, 2, 3, 4]
    assert [one["error"]["field"] for one in body["results"] if "error" in one] == [
        "priority",
        "subject",
        "recipients.0",
    ]


def test_a_strict_batch_takes_all_or_none(service: Caller) -> None:
    response = service.post(
        "/api/emails/batch", {"mode": "strict", "emails": [EMAIL, EMAIL | {"priority": 9}]}
    )
    assert (response.status_code, response.json["details"][0]["field"]) == (400, "emails.1.priority")
    assert service.get("/api/emails").json["emails"] == []


def test_a_batch_has_bounds(service: Caller) -> None:
    assert service.post("/api/emails/batch", {"emails": []}).status_code == 400
    assert service.post("/api/emails/batch", {"emails": [EMAIL] * 1_001}).status_code == 400
    assert service.post("/api/emails/batch", {"emails": [7]}).status_code == 400
    assert service.post("/api/emails/batch", {"emails": [EMAIL] * 1_000}).json["accepted"] == 1_000


def test_a_broken_name_of_a_field_does_no_harm(service: Caller) -> None:
    data = b'{"emails": [{"\\ud800": 1}]}'
    response = service.call("POST", "/api/emails/batch", data=data, content_type="application/json")
    assert (response.status_code, response.json["rejected"]) == (200, 1)
