from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from models.database import rows, run, write
from tests.support.app import Caller, new_key, running_app
from tests.support.dovecot import Dovecot
from tests.support.letters import TENANT, USER, add_account, add_folder
from tests.support.syncing import letter
from tests.sync import test_http as syncing
from workers.poller import Poller


@pytest.fixture
def app(tmp_path: Path) -> Iterator[APIFlask]:
    """Accounts may be on this machine: their servers are in these tests."""
    with running_app(tmp_path, ALLOW_PRIVATE_HOSTS="on") as app:
        yield app


def user_of(app: APIFlask, tenant: str, name: str) -> Caller:
    """Acting by a key of the service: its calls are not limited, so tests may make many."""
    return Caller(app.test_client(), {"X-API-Key": new_key(), "X-Tenant-ID": tenant, "X-User-ID": name})


@pytest.fixture
def ann(app: APIFlask) -> Caller:
    return user_of(app, TENANT, USER)


@pytest.fixture
def account(app: APIFlask) -> str:
    """Ann's."""
    return add_account()


@pytest.fixture
def inbox(account: str) -> int:
    return add_folder(account)


def unplug(account: str) -> None:
    """Nothing listens any more where its server was."""

    def job() -> None:
        ((port, credential),) = rows("SELECT port, credential_id FROM accounts WHERE id = ?", account)
        run("UPDATE accounts SET port = 9 WHERE id = ?", account)
        run(
            "UPDATE credentials SET endpoint = replace(endpoint, ?, ':9') WHERE id = ?",
            f":{port}",
            credential,
        )

    write(job)


@pytest.fixture
def poller(app: APIFlask) -> Iterator[Poller]:
    """Syncs Ann's accounts that are on a real server."""
    with syncing.polling(app) as poller:
        yield poller


class Box:
    """An account with one letter, in INBOX, and a second client."""

    def __init__(self, ann: Caller, server: Dovecot) -> None:
        self.ann, self.server, self.user = ann, server, server.user()
        self.account = syncing.add_account(ann, server, self.user)
        server.deliver(self.user, letter(1, "Lunch"))
        self.client: imaplib.IMAP4 = server.client(self.user)
        self.sync()
        self.folders = {
            one["type"]: one for one in self.ann.get(f"/api/{self.account}/folders").json["folders"]
        }
        (self.id,) = [one["id"] for one in self.listed("inbox")]
        self.path = f"/api/{self.account}/messages/{self.id}"

    def sync(self) -> None:
        assert syncing.ended(self.ann, syncing.start(self.ann, self.account))["status"] == "success"

    def listed(self, role: str) -> list[dict[str, Any]]:
        path = f"/api/{self.account}/folders/{self.folders[role]['id']}/messages"
        return list(self.ann.get(path).json["messages"])

    def on_server(self, folder: str) -> list[set[str]]:
        """The flags of each message in it."""
        _, (count,) = self.client.select(folder, readonly=True)
        if count == b"0":
            return []
        _, found = self.client.fetch("1:*", "(FLAGS)")
        told = [re.search(rb"FLAGS \((.*?)\)", one) for one in found if isinstance(one, bytes)]
        return [set(one[1].decode().split()) - {"\\Recent"} for one in told if one]
