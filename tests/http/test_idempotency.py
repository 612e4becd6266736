from __future__ import annotations

import pytest

from tests.support.app import EMAIL, Caller

KEY = {"Idempotency-Key": "order-42"}


def test_a_replay_brings_the_first_answer_and_no_second_email(service: Caller) -> None:
    first = service.post("/api/emails", EMAIL, headers=KEY)
    second = service.post("/api/emails", EMAIL, headers=KEY)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json == second.json
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    assert len(service.get("/api/emails").json["emails"]) == 1


def test_another_spelling_of_the_same_body_is_the_same(service: Caller) -> None:
    service.post("/api/emails", EMAIL, headers=KEY)
    backwards = "{" + ",  ".join(f'"{name}": {_json(value)}' for name, value in reversed(EMAIL.items())) + "}"
    again = service.call("POST", "/api/emails", data=backwards, content_type="application/json", headers=KEY)
    assert again.headers["Idempotent-Replayed"] == "true"


def _json(value: object) -> str:
    import json

    return json.dumps(value)


def test_another_body_is_a_422(service: Caller) -> None:
    service.post("/api/emails", EMAIL, headers=KEY)
    response = service.post("/api/emails", EMAIL | {"subject": "Other"}, headers=KEY)
    assert (response.status_code, response.json["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_single_and_batch_do_not_share_keys(service: Caller) -> None:
    service.post("/api/emails", EMAIL, headers=KEY)
    batch = service.post("/api/emails/batch", {"emails": [EMAIL]}, headers=KEY)
    assert batch.json["accepted"] == 1
    again = service.post("/api/emails/batch", {"emails": [EMAIL]}, headers=KEY)
    assert again.json == batch.json
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_refused_email_keeps_no_key(service: Caller) -> None:
    assert service.post("/api/emails", EMAIL | {"recipients": ["no"]}, headers=KEY).status_code == 400
    assert service.post("/api/emails", EMAIL, headers=KEY).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 257, "caf\u00e9", "a\tb"])
def test_an_odd_key_is_a_400(service: Caller, key: str) -> None:
    response = service.post("/api/emails", EMAIL, headers={"Idempotency-Key": key})
    assert (response.status_code, response.json["details"][0]["field"]) == (400, "Idempotency-Key")
