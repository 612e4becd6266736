"""The taskId of composed mail, followed where the tasks of sync are."""

from __future__ import annotations

from typing import Any

import pytest

from models.database import run, write
from tests.composing.making import account
from tests.support.app import Caller

MAIL = {"to": ["bob@example.com"], "subject": "Lunch", "body": "At one?"}


def task(caller: Caller, task_id: str) -> dict[str, Any]:
    answer = caller.get(f"/api/sync/task/{task_id}")
    assert answer.status_code == 200, answer.json
    found: dict[str, Any] = answer.json
    return found


@pytest.mark.parametrize(
    ("state", "status", "progress"),
    [
        ("scheduled", "pending", 0), ("queued", "pending", 0), ("sending", "started", 50), ("retry", "retry", 50),
        ("unknown", "started", 99), ("sent", "success", 100), ("failed", "failure", 100),
        ("cancelled", "cancelled", 100),
    ],
)  # fmt: skip
def test_it_tells_how_the_email_is(ann: Caller, work: str, state: str, status: str, progress: int) -> None:
    sent = ann.post("/api/compose/send", MAIL | {"accountId": work}).json
    write(
        lambda: run(
            "UPDATE emails SET state = ?, error_message = '550 no' WHERE id = ?", state, sent["email_id"]
        )
    )
    found = task(ann, sent["taskId"])
    assert (found["status"], found["progress"], found["accountId"]) == (status, progress, work)
    assert found["error"] == ("550 no" if status in ("failure", "retry") else None)
    assert found["taskId"] == sent["taskId"] and found["createdAt"] > 0


def test_others_do_not_find_it(ann: Caller, bob: Caller, eve: Caller, work: str) -> None:
    sent = ann.post("/api/compose/send", MAIL | {"accountId": work}).json
    account(bob)
    for caller in (bob, eve):
        assert caller.get(f"/api/sync/task/{sent['taskId']}").status_code == 404
    for name in ("email-", "email-x", "email-0", "email-999", f"email-{2**63}", "email-1.5", "email--1"):
        assert ann.get(f"/api/sync/task/{name}").status_code == 404
