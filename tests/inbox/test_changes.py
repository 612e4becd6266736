"""Changes over HTTP, seen on a real server by a client that is none of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from apiflask import APIFlask

from tests.inbox.conftest import Box, unplug, user_of
from tests.support.app import Caller
from tests.support.dovecot import PROFILES, shared
from tests.support.letters import TENANT


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


def test_labels_that_no_keyword_can_be_are_refused_by_name(box: Box) -> None:
    answer = box.ann.patch(box.path, {"labels": ["good", "two words", "Büro", "$own"]})
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json["details"]] == ["labels.1", "labels.2", "labels.3"]
    assert box.on_server("INBOX") == [set()]


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
    unplug(box.account)
    assert box.ann.patch(box.path, {"isRead": True}).status_code == 502
    assert box.ann.delete(box.path).status_code == 502
    assert [one["isRead"] for one in box.listed("inbox")] == [False]


def test_only_its_owner_changes_it_and_only_within_the_account(app: APIFlask, box: Box) -> None:
    for other in (user_of(app, TENANT, "bea"), user_of(app, "tenant-b", "ann")):
        assert other.patch(box.path, {"isRead": True}).status_code == 404
        assert other.delete(box.path).status_code == 404
    assert box.ann.patch(box.path, {"folderId": "999999"}).status_code == 400
    assert box.ann.patch(box.path, {"isread": True}).json["details"][0]["field"] == "isread"
    for label in (
        "two words",
        "",
        "\\Seen",
        "$own",
        "grün",
        "\U0001f600",
        "a]",
        "(",
        "x" * 101,
        "Junk",
        "a\n",
    ):
        assert box.ann.patch(box.path, {"labels": [label]}).status_code == 400, label
    assert box.on_server("INBOX") == [set()]
