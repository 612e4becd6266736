"""The same as a user who has mail: an account on a real server, and ids of all that there is in the description, so
that calls reach folders, messages, attachments, drafts and the server itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask import Response, request

from services.principal import Scope
from tests.composing.making import account, draft, upload
from tests.http.exploring import OF_A_USER, explore
from tests.support.app import Caller, new_key, running_app
from tests.support.dovecot import FULL, Dovecot, shared
from tests.sync.test_http import add_account, ended, polling, start

LETTERS = 40
NAMING = [f"#/components/parameters/{name}" for name in ("TenantId", "UserId")]  # the key says it by itself


@pytest.fixture
def app(tmp_path: Path) -> Iterator[APIFlask]:
    """Accounts may be on this machine. One user calls more often here than in a month of life."""
    groups = ("accounts", "list_accounts", "create_account", "sync", "compose")
    limits = ",".join(f"{group}=100000/minute" for group in groups)
    with running_app(tmp_path, ALLOW_PRIVATE_HOSTS="on", RATE_LIMITS=limits) as app:
        yield app


@pytest.fixture
def key(app: APIFlask) -> str:
    return new_key("acme", Scope.SEND, Scope.READ, user="ann")


@pytest.fixture
def ann(app: APIFlask, key: str) -> Caller:
    return Caller(app.test_client(), {"X-API-Key": key, "X-Tenant-ID": "acme", "X-User-ID": "ann"})


@pytest.fixture
def answers(app: APIFlask) -> Counter[tuple[str, int]]:
    """How often each operation has answered what."""
    told: Counter[tuple[str, int]] = Counter()

    @app.after_request
    def count(response: Response) -> Response:
        if request.method != "OPTIONS":
            told[str(request.endpoint).rpartition(".")[2], response.status_code] += 1
        return response

    return told


@pytest.fixture
def mailbox(app: APIFlask, ann: Caller, answers: Counter[tuple[str, int]]) -> dict[str, Any]:
    """What Ann has: for each name of the description, the ids that there are."""
    server = shared(FULL)
    work = synced(app, ann, server)
    folders = [one["id"] for one in ann.get(f"/api/{work}/folders").json["folders"]]
    listed = ann.get(f"/api/{work}/messages?q=plans&limit=100").json["messages"]
    messages = [one["id"] for one in listed]
    parts = [one["id"] for one in ann.get(f"/api/{work}/messages/{messages[0]}").json["attachments"]]
    return {
        "account_id": [work], "folder_id": folders, "message_id": messages, "part_id": parts,
        "draft_id": [draft(ann, work, to=["bo@example.com"], subject="s", body="b")["draftId"] for _ in range(30)],
        "task_id": [ann.get(f"/api/sync/{work}/status").json["taskId"]],
        "spare": [account(ann, emailAddress=f"spare{number}@acme.test") for number in range(20)],
        "upload": [upload(ann) for _ in range(20)],
    }  # fmt: skip


def synced(app: APIFlask, ann: Caller, server: Dovecot) -> str:
    """The id of an account with letters, each with an attachment."""
    name = server.user()
    client = server.client(name)
    for number in range(LETTERS):
        client.append("INBOX", "", "", plans(number))  # type: ignore[arg-type]
    client.logout()
    smtp = {"hostname": "127.0.0.1", "port": 9, "encryption": "none"}
    work = add_account(ann, server, name, smtp=smtp)
    with polling(app):
        assert ended(ann, start(ann, work))["status"] == "success"
    return work


def plans(number: int) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = (
        "Bob <bob@example.com>",
        "ann@example.test",
        f"The plans {number}",
    )
    mail["Message-ID"] = f"<plans-{number}@example.com>"
    mail.set_content("See attached.")
    mail.add_alternative("<p>See <b>attached</b><script>alert(1)</script></p>", subtype="html")
    mail.add_attachment(b"%PDF-1.7", "application", "pdf", filename="plän.pdf")
    return mail.as_bytes()


def operations(description: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for methods in description["paths"].values() for one in methods.values()]


def examples(operation: dict[str, Any]) -> list[dict[str, Any]]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return [one["value"] for one in content.get("examples", {}).values()] or [content.get("example", {})]


def described(ann: Caller, mailbox: dict[str, Any]) -> dict[str, Any]:
    """The description, in which the ids are those that there are. What is changed or deleted is not the account that
    the others need, nor are all its messages."""
    found: dict[str, Any] = ann.get("/openapi.json").json
    ids = {name: mailbox[name] for name in mailbox if name.endswith("_id")} | {
        "draft_id": mailbox["draft_id"][20:]
    }
    for_operation = {
        "update_account": {"account_id": mailbox["spare"]},
        "delete_account": {"account_id": mailbox["spare"]},
        "send_draft": {"draft_id": mailbox["draft_id"][:10]},
        "delete_draft": {"draft_id": mailbox["draft_id"][10:20]},
        "delete_message": {"message_id": mailbox["message_id"][LETTERS // 2 :]},
    }
    for one in operations(found):
        one["parameters"] = [
            parameter for parameter in one["parameters"] if parameter.get("$ref") not in NAMING
        ]
        for example in examples(one):
            if "accountId" in example:
                example["accountId"] = mailbox["account_id"][0]
        for parameter in one["parameters"]:
            known = (ids | for_operation.get(one["operationId"], {})).get(parameter["name"])
            if parameter["in"] == "path" and known:
                parameter["schema"] = {"enum": known}
    bodies = {name: one.get("properties") for name, one in found["components"]["schemas"].items()}
    for name in ("SendBody", "DraftBody"):
        bodies[name]["accountId"] = {"enum": mailbox["account_id"]}
    for name in ("SendBody", "DraftBody", "DraftChangesBody"):
        bodies[name]["attachmentIds"]["anyOf"][0]["items"] = {"enum": mailbox["upload"]}
    bodies["MessageChangesBody"]["folderId"] = {"anyOf": [{"enum": mailbox["folder_id"]}, {"type": "null"}]}
    return found


def test_the_api_of_a_user_keeps_to_its_description(
    app: APIFlask,
    ann: Caller,
    key: str,
    answers: Counter[tuple[str, int]],
    mailbox: dict[str, Any],
    tmp_path: Path,
) -> None:
    description = described(ann, mailbox)
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(description))
    answers.clear()
    tags = [part for tag in OF_A_USER for part in ("--include-tag", tag)]
    phases = "examples,coverage,fuzzing"  # what calls hand on to each other might take the account away
    explore(app, tmp_path, key, 4, *tags, "--phases", phases, description=str(file))
    reached = {name for name, status in answers if status < 300}
    ours = {one["operationId"] for one in operations(description) if set(one["tags"]) & set(OF_A_USER)}
    assert ours - reached == {"test_account"}, "nothing listens at its SMTP port"
