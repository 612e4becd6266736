"""Suppressed addresses over HTTP, and what becomes of mail to them."""

from __future__ import annotations

from typing import Any

import pytest
from apiflask import APIFlask

from models.database import rows, run, write
from services.principal import Scope
from tests.support.app import EMAIL, Caller, tenant_caller

LIST = "/api/suppressions"
ANN, BOB = "ann@example.com", "bob@example.com"


def suppress(caller: Caller, *addresses: str, **more: Any) -> None:
    for one in addresses:
        assert caller.post(LIST, {"address": one, **more}).status_code == 201


def addresses(caller: Caller, query: str = "") -> list[str]:
    return [one["address"] for one in caller.get(LIST + query).json["suppressions"]]


def states(caller: Caller, email_id: int) -> dict[str, str]:
    people = caller.get(f"/api/emails/{email_id}").json["recipient_states"]
    return {one["address"]: one["state"] for one in people}


def test_an_address_is_added_found_and_removed(tenant_a: Caller) -> None:
    answer = tenant_a.post(LIST, {"address": "Ann <Ann@EXAMPLE.com>", "detail": "by phone"})
    assert answer.status_code == 201
    assert (answer.json["address"], answer.json["reason"], answer.json["detail"]) == (
        ANN,
        "manual",
        "by phone",
    )
    again = tenant_a.post(LIST, {"address": ANN, "reason": "complaint"})
    assert (again.status_code, again.json["reason"]) == (200, "manual")
    assert tenant_a.get(f"{LIST}/ANN@example.com").json == answer.json
    assert tenant_a.delete(f"{LIST}/{ANN}").status_code == 204
    assert tenant_a.get(f"{LIST}/{ANN}").status_code == 404
    assert tenant_a.delete(f"{LIST}/{ANN}").status_code == 404


def test_an_address_may_hold_a_slash(tenant_a: Caller) -> None:
    suppress(tenant_a, "sales/eu@example.com")
    assert tenant_a.get(f"{LIST}/sales/eu@example.com").status_code == 200
    assert tenant_a.delete(f"{LIST}/sales%2Feu@example.com").status_code == 204
    assert tenant_a.delete(f"{LIST}/export").status_code == 405


@pytest.mark.parametrize("body", [{"address": "nobody"}, {"address": ANN, "reason": "mood"}, {"adress": ANN}])
def test_a_wrong_body_names_its_field(tenant_a: Caller, body: dict[str, str]) -> None:
    answer = tenant_a.post(LIST, body)
    assert answer.status_code == 400
    assert answer.json["details"][0]["field"] in ("address", "reason", "adress")


def test_the_list_comes_in_pages_and_can_be_filtered(tenant_a: Caller) -> None:
    suppress(tenant_a, *(f"p{number}@example.com" for number in range(5)))
    suppress(tenant_a, "spam_trap@example.org", reason="complaint")
    first = tenant_a.get(f"{LIST}?limit=2")
    assert [one["address"] for one in first.json["suppressions"]] == ["p0@example.com", "p1@example.com"]
    assert f"cursor={first.json['next_cursor'].replace('@', '%40')}" in first.headers["Link"]
    assert addresses(tenant_a, f"?limit=3&cursor={first.json['next_cursor']}")[0] == "p2@example.com"
    assert addresses(tenant_a, "?reason=complaint") == ["spam_trap@example.org"]
    assert addresses(tenant_a, "?q=M_T") == ["spam_trap@example.org"]
    assert addresses(tenant_a, "?q=p_") == []


def test_scopes(app: APIFlask) -> None:
    sender, reader = (tenant_caller(app, "t", scope) for scope in (Scope.SEND, Scope.READ))
    assert sender.post(LIST, {"address": ANN}).status_code == 201
    assert sender.get(LIST).status_code == 403
    assert addresses(reader) == [ANN]
    assert reader.post(LIST, {"address": BOB}).status_code == 403
    for caller in (sender, reader):
        assert caller.delete(f"{LIST}/{ANN}").status_code == 403
        assert caller.post(f"{LIST}/import", data="address\n", content_type="text/csv").status_code == 403


def test_what_is_exported_can_be_imported(tenant_a: Caller, tenant_b: Caller) -> None:
    suppress(tenant_a, ANN, detail='said "no", twice')
    suppress(tenant_a, BOB, reason="complaint", detail="=1+1")
    odd = ["=cmd|'/c'!a1@example.com", "'=x@example.com", "-x@example.com", "'x@example.com"]
    suppress(tenant_a, *odd)
    exported = tenant_a.get(f"{LIST}/export")
    assert exported.mimetype == "text/csv"
    assert "'=1+1" in exported.text
    assert not any(line.startswith(("=", "-", '"=', "+", "@")) for line in exported.text.splitlines())
    answer = tenant_b.post(f"{LIST}/import", data=exported.data, content_type="text/csv")
    assert answer.json == {"added": 6, "present": 0, "failed": 0, "rejected": []}
    assert set(addresses(tenant_b)) == {ANN, BOB, *odd}
    assert tenant_b.get(f"{LIST}/{BOB}").json["detail"] == "=1+1"
    assert tenant_b.get(f"{LIST}/export").text == exported.text
    assert tenant_b.post(f"{LIST}/import", data=exported.data, content_type="text/csv").json["present"] == 6


def test_an_import_tells_what_is_wrong_with_each_line(tenant_a: Caller) -> None:
    text = "\ufeffEmail,Reason\nann@example.com,manual\n\nnobody,manual\nbob@example.com,mood\n"
    answer = tenant_a.post(f"{LIST}/import", data=text.encode(), content_type="text/csv")
    assert (answer.json["added"], answer.json["failed"]) == (1, 2)
    assert [one["line"] for one in answer.json["rejected"]] == [4, 5]
    bare = tenant_a.post(f"{LIST}/import", data="cid@example.com\ndan@example.com\n", content_type="text/csv")
    assert bare.json["added"] == 2


@pytest.mark.parametrize("data", [b"", b"name,age\nx,1\n", b"\xff\xfe", b'address\n"a\x00'])
def test_a_file_that_is_none_is_refused(tenant_a: Caller, data: bytes) -> None:
    answer = tenant_a.post(f"{LIST}/import", data=data, content_type="text/csv")
    assert answer.status_code in (200, 400)
    assert addresses(tenant_a) == []
    assert tenant_a.post(f"{LIST}/import", data=data, content_type="text/plain").status_code == 400


def test_mail_to_a_suppressed_recipient_goes_to_the_others_and_says_so(tenant_a: Caller) -> None:
    suppress(tenant_a, ANN)
    answer = tenant_a.post("/api/emails", EMAIL | {"recipients": ["Ann@example.com"], "cc": [BOB]})
    assert answer.status_code == 201
    (told,) = answer.json["suppressed"]
    assert (told["address"], told["reason"]) == ("Ann@example.com", "manual")
    email_id = answer.json["email_id"]
    assert states(tenant_a, email_id) == {"Ann@example.com": "suppressed", BOB: "pending"}
    events = tenant_a.get(f"/api/emails/{email_id}/events").json
    assert ("suppressed", "ann@example.com: manual") in [(one["type"], one["detail"]) for one in events]


def test_mail_to_suppressed_recipients_alone_is_refused_by_name(tenant_a: Caller) -> None:
    suppress(tenant_a, ANN, BOB)
    answer = tenant_a.post("/api/emails", EMAIL | {"recipients": [ANN], "bcc": [BOB]})
    assert (answer.status_code, answer.json["code"]) == (400, "RECIPIENT_SUPPRESSED")
    assert [one["field"] for one in answer.json["details"]] == ["recipients", "bcc"]
    assert ANN in answer.json["details"][0]["message"]
    assert tenant_a.get("/api/emails").json["emails"] == []


def test_a_batch_has_a_result_for_each(tenant_a: Caller) -> None:
    suppress(tenant_a, ANN)
    emails = [EMAIL, EMAIL | {"recipients": [ANN, BOB]}, EMAIL | {"recipients": [BOB]}]
    results = tenant_a.post("/api/emails/batch", {"emails": emails}).json["results"]
    assert results[0]["error"]["code"] == "RECIPIENT_SUPPRESSED"
    assert [one["address"] for one in results[1]["suppressed"]] == [ANN]
    assert "suppressed" not in results[2]
    strict = tenant_a.post("/api/emails/batch", {"emails": emails, "mode": "strict"})
    assert (strict.status_code, strict.json["details"][0]["field"]) == (400, "emails.0.recipients")


def test_the_first_answer_is_repeated_whatever_was_suppressed_since(tenant_a: Caller) -> None:
    headers = {"Idempotency-Key": "k"}
    first = tenant_a.post("/api/emails", EMAIL, headers=headers)
    suppress(tenant_a, ANN)
    assert tenant_a.post("/api/emails", EMAIL, headers=headers).json == first.json


def test_other_tenants_still_reach_the_address(tenant_a: Caller, tenant_b: Caller, service: Caller) -> None:
    suppress(tenant_a, ANN)
    for caller in (tenant_b, service):
        assert caller.post("/api/emails", EMAIL).status_code == 201
    suppress(service, BOB)
    assert addresses(service) == [BOB]
    assert addresses(tenant_a) == [ANN]


def test_a_retry_leaves_out_who_got_it(tenant_a: Caller) -> None:
    email_id = tenant_a.post("/api/emails", EMAIL | {"recipients": [ANN, BOB, "cid@example.com"]}).json[
        "email_id"
    ]

    def fail() -> None:
        run("UPDATE emails SET state = 'unknown', finished_at = 1 WHERE id = ?", email_id)
        for position, state in enumerate(("bounced", "unknown", "suppressed")):
            run(
                "UPDATE recipients SET state = ? WHERE email_id = ? AND position = ?",
                state,
                email_id,
                position,
            )

    write(fail)
    assert tenant_a.post(f"/api/emails/{email_id}/retry").status_code == 200
    assert list(states(tenant_a, email_id).values()) == ["bounced", "pending", "pending"]
    assert rows("SELECT recipient_count FROM emails WHERE id = ?", email_id) == [(2,)]
