"""From the outside: an account, the poller, a bounce in its mailbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask

from models.database import rows, run, write
from tests.accounts.conftest import user
from tests.reports.letters import dsn
from tests.support.app import CONFIG, EMAIL, running_app
from tests.support.dovecot import FULL, shared
from tests.sync.test_http import add_account, ended, polling, start


@pytest.fixture
def app(tmp_path: Path) -> Iterator[APIFlask]:
    with running_app(tmp_path, ALLOW_PRIVATE_HOSTS="on") as app:
        yield app


def test_a_bounce_marks_its_recipient_within_one_poll_and_a_forged_one_suppresses_nobody(
    app: APIFlask,
) -> None:
    ann, server = user(app, "acme", "ann"), shared(FULL)
    mailbox = server.user()
    config = ann.post("/api/smtp-configs", CONFIG | {"email_address": mailbox}).json["config_id"]
    mail = EMAIL | {
        "recipients": ["bob@example.com", "cid@example.com", "dan@example.com"],
        "smtp_config_id": config,
    }
    email_id = ann.post("/api/emails", mail).json["email_id"]

    def take() -> None:
        run(
            "UPDATE emails SET state = 'sent', carrier_id = ?, finished_at = 1 WHERE id = ?", config, email_id
        )
        run("UPDATE recipients SET state = 'sent' WHERE email_id = ?", email_id)

    write(take)
    message_id = ann.get(f"/api/emails/{email_id}").json["message_id"]
    forged = message_id.partition(".")[0] + f".{'a' * 20}@relay.test>"
    server.deliver(mailbox, dsn(message_id, "bob@example.com", own_id="<1@mx.test>"), "")
    server.deliver(mailbox, dsn(forged, "cid@example.com", own_id="<2@mx.test>"), "")
    account = add_account(ann, name=mailbox)
    with polling(app):
        assert ended(ann, start(ann, account))["status"] == "success"
    people = ann.get(f"/api/emails/{email_id}").json["recipient_states"]
    assert [one["state"] for one in people] == ["bounced", "sent", "sent"]
    assert [one["address"] for one in ann.get("/api/suppressions").json["suppressions"]] == [
        "bob@example.com"
    ]
    kinds = [one["type"] for one in ann.get(f"/api/emails/{email_id}/events").json]
    assert kinds[-2:] == ["bounced", "suppression_added"]
    assert len(rows("SELECT 1 FROM letters")) == 2
    refused = ann.post("/api/emails", mail | {"recipients": ["bob@example.com"]})
    assert refused.json["code"] == "RECIPIENT_SUPPRESSED"
