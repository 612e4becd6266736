"""Every operation of the API, called once and well, with the bodies that /openapi.json shows: a real daemon, a real
IMAP server behind it, and the sandbox for what is sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import requests

from tests.support.daemon import Daemon
from tests.support.dovecot import HOST, PASSWORD, Dovecot
from tests.support.sink import Hooks, Sink
from utils.clock import DAY, iso, now_ms

WHOSE = {"X-Tenant-ID": "acme", "X-User-ID": "ann"}
LETTER = b"""\
From: Bob <bob@example.com>\r
To: Ann <ann@example.com>\r
Subject: Lunch on Friday?\r
Message-ID: <lunch@example.com>\r
Date: {now}\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=xyz\r
\r
--xyz\r
Content-Type: text/html; charset=utf-8\r
\r
<p>Shall we have <b>lunch</b> on Friday?</p>\r
--xyz\r
Content-Type: text/plain; name=menu.txt\r
Content-Disposition: attachment; filename=menu.txt\r
\r
Soup, then pasta.\r
--xyz--\r
"""


@dataclass
class Exchange:
    operation: str
    status: int
    headers: dict[str, str]
    content_type: str
    body: Any  # JSON, or text


@dataclass
class Play:
    daemon: Daemon
    described: dict[str, Any]
    exchanges: list[Exchange] = field(default_factory=list)
    user: str = ""

    def __post_init__(self) -> None:
        self.operations = {
            one["operationId"]: (path, method, one)
            for path, methods in self.described["paths"].items()
            for method, one in methods.items()
        }

    def call(self, name: str, body: Any = ..., *, query: str = "", whose: bool = False, **values: Any) -> Any:
        """With each body that the description shows, or with `body`; the last answer."""
        path, method, about = self.operations[name]
        for place, value in values.items():
            path = path.replace(f"{{{place}}}", quote(str(value)))
        bodies = self.examples(name) if body is ... else [body]
        for one in bodies:
            answer = self._send(method, path + query, about, one, whose)
            said = (
                answer.json() if answer.content and "json" in answer.headers["Content-Type"] else answer.text
            )
            kind = answer.headers.get("Content-Type", "").partition(";")[0]
            self.exchanges.append(Exchange(name, answer.status_code, dict(answer.headers), kind, said))
            assert answer.ok, (name, one, answer.status_code, said)
        return said

    def examples(self, name: str) -> list[Any]:
        for content in self.operations[name][2].get("requestBody", {}).get("content", {}).values():
            shown = [one["value"] for one in content.get("examples", {}).values()]
            return shown or [content["example"]]
        return [None]

    def _send(self, method: str, path: str, about: Any, body: Any, whose: bool) -> requests.Response:
        headers = dict(WHOSE) if whose else {}
        sent: dict[str, Any] = {"json": body} if body is not None else {}
        if isinstance(body, str):
            sent = {"data": body}
            headers["Content-Type"] = next(iter(about["requestBody"]["content"]))
        return self.daemon.http.request(
            method, self.daemon.url + path, headers=headers, timeout=30, allow_redirects=False, **sent
        )


def eventually(wanted: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := wanted()):
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)
    return found


def play(daemon: Daemon, server: Dovecot, described: dict[str, Any]) -> Play:
    it = Play(daemon, described)
    for name in ("get_service", "get_health", "get_readiness", "get_metrics"):
        it.call(name)
    _mail_accounts(it, server)
    sent = _emails(it)
    _templates(it)
    _unknown(it)
    _while_paused(it, sent)
    _keys_and_suppressions(it)
    return it


def _emails(it: Play) -> int:
    email = int(it.call("create_email", it.examples("create_email")[0])["email_id"])
    eventually(lambda: it.daemon.get(f"/api/emails/{email}")["status"] == "sent")
    it.call("list_sandbox")
    it.call("get_sandbox_message", message_id=it.daemon.get("/api/sandbox")[0]["id"])
    for name in ("get_email", "list_email_events", "get_raw_email"):
        it.call(name, email_id=email)
    tomorrow = iso(now_ms() + DAY)
    it.call("explain_email", email_id=it.daemon.send(send_at=tomorrow))
    return email


def _unknown(it: Play) -> None:
    """Nobody knows of an email whose connection is lost after the final dot."""
    with Sink(hooks=Hooks(on_data=lambda message: "<close>")) as sink:
        config = it.daemon.add_config(sink.port)
        email = it.daemon.send(smtp_config_id=config, on_unknown="hold")
        eventually(lambda: it.daemon.get(f"/api/emails/{email}")["status"] == "unknown")
    it.call("resolve_email", email_id=email)
    it.call("delete_smtp_config", config_id=config)


def _templates(it: Play) -> None:
    template = it.call("create_template")["template_id"]
    it.call("list_templates")
    it.call("preview_source")
    name = it.call("get_template", template=template)["name"]
    for operation in ("update_template", "list_template_versions", "preview_template", "send_template_test"):
        it.call(operation, template=name)
    it.call("restore_template_version", template=name, version=1)
    it.call("delete_template", template=name)


def _while_paused(it: Play, sent: int) -> None:
    """Nothing is delivered, for the examples name servers that are not ours."""
    it.call("test_smtp_config", config_id=1)
    it.call("pause_queue")
    it.call("create_smtp_config")
    it.call("create_email")
    waiting = int(it.call("create_emails")["results"][0]["email_id"])
    it.call("get_queue")
    for name in ("update_email", "cancel_email", "retry_email"):
        it.call(name, email_id=waiting)
    it.call("search_emails", query="?status=sent&limit=1")
    it.call("list_emails_by_status", query="?limit=1", status="sent")
    it.call("erase_email", email_id=sent)
    it.call("list_smtp_configs", query="?limit=1")
    addresses = [one["email_address"] for one in it.examples("create_smtp_config")]
    made = [one["id"] for one in it.daemon.get("/api/smtp-configs") if one["email_address"] in addresses]
    for name in ("get_smtp_config", "update_smtp_config", "pause_smtp_config", "resume_smtp_config"):
        it.call(name, config_id=made[0])
    for config in made:
        gone = it.daemon.http.delete(f"{it.daemon.url}/api/smtp-configs/{config}")
        assert gone.status_code == 204, gone.text  # or mail would go out to them below
    it.call("resume_queue")
    it.call("clear_sandbox")


def _keys_and_suppressions(it: Play) -> None:
    key = it.call("create_key")["id"]
    it.call("list_keys", query="?limit=1")
    it.call("revoke_key", key_id=key)
    it.call("create_token")
    address = it.call("add_suppression")["address"]
    it.call("add_suppression")  # once more changes nothing
    it.call("list_suppressions")
    it.call("get_suppression", address=address)
    it.call("export_suppressions")
    it.call("import_suppressions")
    it.call("remove_suppression", address=address)


def _mail_accounts(it: Play, server: Dovecot) -> None:
    user = it.user = server.user()
    with Sink(auth=(user, PASSWORD)) as smtp:
        account = it.call("create_account", {
            "accountName": "Work Email", "emailAddress": user, "hostname": HOST, "port": server.imap,
            "encryption": "none", "isSyncEnabled": False, "username": user, "password": PASSWORD,
            "smtp": {"hostname": HOST, "port": smtp.port, "encryption": "none"},
        }, whose=True)["id"]  # fmt: skip
        here: dict[str, Any] = {"account_id": account, "whose": True}
        it.call("list_accounts", whose=True)
        it.call("get_account", **here)
        it.call("update_account", **here)
        it.call("test_account", {"password": PASSWORD, "timeout": 30}, **here)
        server.deliver(user, LETTER.replace(b"{now}", format_datetime(datetime.now(UTC)).encode()))
        _sync(it, here)
        _messages(it, here)
        _writing(it, account)
        eventually(lambda: not _under_way(it))
    _credentials(it)
    it.call("delete_account", **here)


def _under_way(it: Play) -> int:
    counts = it.daemon.get("/api/queue")["counts"]
    return int(counts["queued"] + counts["sending"])


def _sync(it: Play, here: dict[str, Any]) -> None:
    task = it.call("sync_account", **here)["taskId"]
    look = f"/api/sync/task/{task}"
    eventually(lambda: it.daemon.get(look, headers=WHOSE)["status"] == "success")
    it.call("get_sync_task", task_id=task, whose=True)
    it.call("get_sync_status", **here)
    it.call("list_quarantined", **here)
    it.call("sync_account", {}, **here)
    it.call("cancel_sync", **here)


def _messages(it: Play, here: dict[str, Any]) -> None:
    folders = it.call("list_folders", **here)["folders"]
    inbox = next(one["id"] for one in folders if one["type"] == "inbox")
    message = it.call("list_messages", **here, folder_id=inbox, query="?conversations=true")["messages"][0][
        "id"
    ]
    it.call("search_messages", **here, query="?q=lunch")
    shown = it.call("get_message", **here, message_id=message)
    it.call("download_attachment", **here, part_id=shown["attachments"][0]["id"])
    it.call("change_message", **here, message_id=message)
    it.call("delete_message", **here, message_id=message)


def _writing(it: Play, account: str) -> None:
    """The examples, but for the account, which must be there."""
    for name in ("send_message", "compose_message", "create_draft", "save_draft"):
        for example in it.examples(name):
            made = it.call(name, example | {"accountId": account}, whose=True)
    draft: dict[str, Any] = {"draft_id": made["draftId"], "whose": True}
    it.call("upload_attachment", whose=True)
    for name in ("list_drafts", "get_draft", "update_draft", "send_draft", "create_draft"):
        body = it.examples("create_draft")[0] | {"accountId": account} if name == "create_draft" else ...
        it.call(name, body, **({} if name in ("list_drafts", "create_draft") else draft) | {"whose": True})
    it.call("delete_draft", draft_id=it.exchanges[-1].body["draftId"], whose=True)


def _credentials(it: Play) -> None:
    it.call("create_credential", whose=True)
    it.call("put_credential", credential_id="work", whose=True)
    it.call("put_credential", credential_id="work", whose=True)
    it.call("delete_credential", credential_id="work", whose=True)
