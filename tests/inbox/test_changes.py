"""Changes over HTTP, seen on a real server by a client that is none of ours."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from apiflask import APIFlask

from models.database import run, write
from tests.inbox.conftest import user_of
from tests.support.app import Caller
from tests.support.dovecot import PROFILES, Dovecot, shared
from tests.support.letters import TENANT
from tests.support.syncing import letter
from tests.sync.test_http import add_account, ended, start


class Box:
    """An account with one letter, in INBOX, and a second client."""

    def __init__(self, ann: Caller, server: Dovecot) -> None:
        self.ann, self.user = ann, server.user()
        self.account = add_account(ann, server, self.user)
        server.deliver(self.user, letter(1, "Lunch"))
        self.client: imaplib.IMAP4 = server.client(self.user)
        self.sync()
        self.folders = {
            one["type"]: one for one in self.ann.get(f"/api/{self.account}/folders").json["folders"]
        }
        (self.id,) = [one["id"] for one in self.listed("inbox")]
        self.path = f"/api/{self.account}/messages/{self.id}"

    def sync(self) -> None:
        assert ended(self.ann, start(self.ann, self.account))["status"] == "success"

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


@pytest.fixture(params=PROFILES)
def box(request: pytest.FixtureRequest, ann: Caller, poller: Any) -> Iterator[Box]:
    box = Box(ann, shared(request.param))
    yield box
    box.client.logout()


def test_flags_and_labels_are_set_and_taken_away_on_the_server(box: Box) -> None:
    answer = box.ann.patch(box.path, {"isRead": True, "isStarred": True, "labels": ["invoices", "2026"]})
    assert answer.status_code == 200, answer.json
    assert (answer.json["isRead"], answer.json["isStarred"]) == (True, True)
    assert set(answer.json["labels"]) == {"invoices", "2026"}
    assert box.on_server("INBOX") == [{"\\Seen", "\\Flagged", "invoices", "2026"}]
    answer = box.ann.patch(box.path, {"isRead": False, "labels": ["2026"]})
    assert box.on_server("INBOX") == [{"\\Flagged", "2026"}]
    assert (answer.json["isRead"], answer.json["isStarred"], answer.json["labels"]) == (False, True, ["2026"])
    for label in ("x" * 60, "a}b", "📎"):
        refused = box.ann.patch(box.path, {"isRead": True, "labels": [label]})
        assert (refused.status_code, refused.json["details"][0]["field"].partition(".")[0]) == (400, "labels")
    assert box.on_server("INBOX") == [{"\\Flagged", "2026"}]
    before = box.ann.get(box.path).json
    box.sync()
    after = box.ann.get(box.path).json
    assert {**before, "attachments": []} == {**after, "attachments": []}


def test_a_moved_message_keeps_its_id_also_after_the_next_sync(box: Box) -> None:
    archive = box.folders["archive"]["id"]
    answer = box.ann.patch(box.path, {"folderId": archive})
    assert (answer.status_code, answer.json["folderId"]) == (200, archive)
    assert [one["id"] for one in box.listed("archive")] == [box.id]
    assert len(box.on_server("Archive")) == 1
    assert all("\\Deleted" in one for one in box.on_server("INBOX"))  # without UIDPLUS it stays so marked
    box.sync()
    box.sync()
    assert [(one["id"], one["subject"]) for one in box.listed("archive")] == [(box.id, "Lunch")]


def test_delete_goes_to_the_trash_and_from_there_for_good(box: Box) -> None:
    assert box.ann.delete(box.path).status_code == 204
    assert len(box.on_server("Trash")) == 1
    box.sync()
    (trashed,) = box.listed("trash")
    assert trashed["isDeleted"]
    assert box.ann.delete(f"/api/{box.account}/messages/{trashed['id']}").status_code == 204
    assert all("\\Deleted" in one for one in box.on_server("Trash"))


def test_spam_goes_to_its_folder_and_back(box: Box) -> None:
    assert box.ann.patch(box.path, {"isSpam": True}).status_code == 200
    assert len(box.on_server("Junk")) == 1
    box.sync()
    (spam,) = box.listed("spam")
    assert spam["isSpam"]
    answer = box.ann.patch(f"/api/{box.account}/messages/{spam['id']}", {"isSpam": False})
    assert answer.status_code == 200
    box.sync()
    assert any(not one["isSpam"] and not one["isDeleted"] for one in box.listed("inbox"))


def test_what_is_gone_on_the_server_is_gone_here(box: Box) -> None:
    box.client.select("INBOX")
    box.client.store("1", "+FLAGS", "\\Deleted")
    box.client.expunge()
    assert box.ann.patch(box.path, {"isRead": True}).status_code == 404
    assert box.listed("inbox") == []


def test_a_server_that_is_away_changes_nothing(box: Box) -> None:
    write(lambda: run("UPDATE accounts SET port = 9"))
    assert box.ann.patch(box.path, {"isRead": True}).status_code == 502
    assert box.ann.delete(box.path).status_code == 502
    assert [one["isRead"] for one in box.listed("inbox")] == [False]


def test_only_its_owner_changes_it_and_only_within_the_account(app: APIFlask, box: Box) -> None:
    for other in (user_of(app, TENANT, "bea"), user_of(app, "tenant-b", "ann")):
        assert other.patch(box.path, {"isRead": True}).status_code == 404
        assert other.delete(box.path).status_code == 404
    assert box.ann.patch(box.path, {"folderId": "999999"}).status_code == 400
    assert box.ann.patch(box.path, {"isread": True}).json["details"][0]["field"] == "isread"
    assert box.on_server("INBOX") == [set()]
