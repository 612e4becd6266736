"""What a server refuses, or does otherwise than others: the answer says what has been done, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from models.database import rows
from services.imap import Client, Reason
from tests.inbox.conftest import Box
from tests.support.app import Caller
from tests.support.dovecot import CONDSTORE, FULL, shared
from tests.support.syncing import letter


@pytest.fixture(params=[FULL, CONDSTORE])
def box(request: pytest.FixtureRequest, ann: Caller, poller: Any) -> Iterator[Box]:
    box = Box(ann, shared(request.param))
    yield box
    box.client.logout()


def without_copyuid(monkeypatch: pytest.MonkeyPatch) -> None:
    """As servers without UIDPLUS are. (Dovecot tells in any case.)"""
    monkeypatch.setattr(Client, "_copied", lambda *_: None)
    has = Client.has
    monkeypatch.setattr(Client, "has", lambda self, *names: "UIDPLUS" not in names and has(self, *names))


def vanished(box: Box) -> str:
    """A folder that is here, and no longer there."""
    box.client.create("Work")
    box.sync()
    folders = box.ann.get(f"/api/{box.account}/folders").json["folders"]
    box.client.delete("Work")
    return str(next(one["id"] for one in folders if one["name"] == "Work"))


def test_a_move_that_is_refused_leaves_all_as_it_was(box: Box) -> None:
    before = box.ann.patch(box.path, {"isStarred": True, "labels": ["a"]}).json
    change = {"isRead": True, "labels": ["b"], "folderId": vanished(box)}
    answer = box.ann.patch(box.path, change)
    assert (answer.status_code, answer.json["code"]) == (502, "MAIL_SERVER_ERROR")
    assert "changed" not in answer.json["message"]
    assert box.on_server("INBOX") == [{"\\Flagged", "a"}]
    after = box.ann.get(box.path).json
    assert {**after, "updatedAt": 0, "attachments": []} == {**before, "updatedAt": 0, "attachments": []}


def test_flags_that_cannot_be_put_back_are_told(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []

    def hanging_up(self: Client, raw_name: bytes) -> Any:
        moved.append("x")
        raise self.protocol.wire.fail(Reason.CLOSED, "the connection broke")

    monkeypatch.setattr(
        "services.inbox.moving._moved", lambda client, uid, raw_name: hanging_up(client, raw_name)
    )
    answer = box.ann.patch(box.path, {"isRead": True, "folderId": box.folders["archive"]["id"]})
    assert answer.status_code == 502 and moved
    assert "read, starred and labels were changed" in answer.json["message"]
    assert box.on_server("INBOX") == [{"\\Seen"}]
    assert box.ann.get(box.path).json["isRead"] is True


def test_a_moved_message_is_found_where_the_server_does_not_tell(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_copyuid(monkeypatch)
    archive = box.folders["archive"]["id"]
    box.client.append("Archive", "", "", letter(1, "Lunch", "a longer one"))  # the same Message-ID
    answer = box.ann.patch(box.path, {"isRead": True, "folderId": archive})
    assert (answer.status_code, answer.json["folderId"], answer.json["isRead"]) == (200, archive, True)
    assert box.ann.get(box.path).json["folderId"] == archive
    box.sync()
    assert box.id in [one["id"] for one in box.listed("archive")] and len(box.listed("archive")) == 2


def test_where_it_cannot_be_told_from_others_a_sync_finds_it(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_copyuid(monkeypatch)
    monkeypatch.setattr("services.inbox.moving._found", lambda *_: None)
    archive = box.folders["archive"]["id"]
    answer = box.ann.patch(box.path, {"folderId": archive})
    assert (answer.status_code, answer.json["folderId"]) == (200, archive)
    assert box.ann.get(box.path).status_code == 404  # it has no place here for a moment
    box.sync()
    assert [one["id"] for one in box.listed("archive")] == [box.id]
    assert box.ann.get(box.path).json["folderId"] == archive


def test_counts_follow_each_change(box: Box) -> None:
    def counts(role: str) -> tuple[int, int]:
        folders = box.ann.get(f"/api/{box.account}/folders").json["folders"]
        ((messages, unread),) = [
            (one["messageCount"], one["unreadCount"]) for one in folders if one["type"] == role
        ]
        return messages, unread

    assert (counts("inbox"), counts("archive")) == ((1, 1), (0, 0))
    box.ann.patch(box.path, {"isRead": True})
    box.ann.patch(box.path, {"isRead": True})
    assert counts("inbox") == (1, 0)
    box.ann.patch(box.path, {"isRead": False, "folderId": box.folders["archive"]["id"]})
    assert (counts("inbox"), counts("archive")) == ((0, 0), (1, 1))
    box.ann.delete(box.path)
    assert (counts("archive"), counts("trash")) == ((0, 0), (1, 1))
    box.ann.delete(box.path)
    ((stored, unread),) = rows(
        "SELECT count(*), count(*) FILTER (WHERE NOT is_read) FROM messages WHERE gone_at IS NULL AND folder_id = ?",
        int(box.folders["trash"]["id"]),
    )
    assert counts("trash") == (stored, unread)
