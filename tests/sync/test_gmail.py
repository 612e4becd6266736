"""Gmail's way: messages lie in All Mail, and folders are labels of them. Against a server that speaks its extension."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from models.database import database, rows
from services.sync.perform import watched
from tests.accounts.conftest import user
from tests.support.app import Caller, running_app
from tests.support.gmail import ALL, SPAM, TRASH, Gmail
from tests.support.syncing import Mailbox, letter
from tests.sync.test_http import add_account


@pytest.fixture(autouse=True)
def _database() -> None:
    """The app brings its own."""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[APIFlask]:
    with running_app(tmp_path, ALLOW_PRIVATE_HOSTS="on") as app:
        yield app


@pytest.fixture
def ann(app: APIFlask) -> Caller:
    return user(app, "acme", "ann")


@pytest.fixture
def gmail() -> Iterator[Gmail]:
    with Gmail().running() as gmail:
        yield gmail


class Box:
    """Three letters: 1 in the inbox and under Work, 2 archived under Work/Old, 3 sent; 4 is spam, 5 in the trash."""

    def __init__(self, ann: Caller, gmail: Gmail) -> None:
        self.ann, self.gmail = ann, gmail
        gmail.labels = ["Work", "Work/Old", "B&APw-ro"]
        gmail.put(letter(1), "\\Inbox", "Work", "\\Important")
        gmail.put(letter(2), "Work/Old", flags="\\Seen")
        gmail.put(letter(3), "\\Sent", flags="\\Seen")
        gmail.put(letter(4), folder=SPAM)
        gmail.put(letter(5), "Work", folder=TRASH)
        self.account = add_account(ann, gmail.server, gmail.user, port=gmail.port)
        self.mailbox = Mailbox(gmail.server, gmail.user, self.account, gmail.port)
        self.counts = self.mailbox.sync()

    def sync(self) -> None:
        self.mailbox.sync()

    @property
    def folders(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.ann.get(f"/api/{self.account}/folders").json["folders"]}

    def listed(self, folder: str, **query: Any) -> list[dict[str, Any]]:
        path = f"/api/{self.account}/folders/{self.folders[folder]['id']}/messages"
        return list(self.ann.get(path, query_string=query).json["messages"])

    def subjects(self, folder: str) -> list[str]:
        return sorted(one["subject"] for one in self.listed(folder))

    def id_of(self, folder: str, number: int) -> str:
        (found,) = [one["id"] for one in self.listed(folder) if one["subject"] == f"Letter {number}"]
        return str(found)

    def patch(self, message_id: str, **fields: Any) -> dict[str, Any]:
        answer = self.ann.patch(f"/api/{self.account}/messages/{message_id}", fields)
        assert answer.status_code == 200, answer.json
        return dict(answer.json)

    def to(self, message_id: str, folder: str) -> dict[str, Any]:
        return self.patch(message_id, folderId=self.folders[folder]["id"])

    def shown(self) -> dict[str, list[str]]:
        """What is in each folder; and it is as the folder counts."""
        state = {name: self.subjects(name) for name in self.folders}
        counts = {name: one["messageCount"] for name, one in self.folders.items()}
        assert counts == {name: len(found) for name, found in state.items()}
        unread = {name: one["unreadCount"] for name, one in self.folders.items()}
        assert unread == {name: len(self.listed(name, filter="unread")) for name in self.folders}
        return {name: found for name, found in state.items() if found}

    def stays(self) -> dict[str, list[str]]:
        """The same before and after the next syncs."""
        before = self.shown()
        ids = rows("SELECT id, folder_id FROM messages WHERE gone_at IS NULL ORDER BY id")
        for _ in range(3):
            self.sync()
            assert self.shown() == before
        assert rows("SELECT id, folder_id FROM messages WHERE gone_at IS NULL ORDER BY id") == ids
        return before


@pytest.fixture
def box(ann: Caller, gmail: Gmail) -> Box:
    return Box(ann, gmail)


FIRST = {
    "INBOX": ["Letter 1"], "Work": ["Letter 1"], "Work/Old": ["Letter 2"], "[Gmail]/Sent Mail": ["Letter 3"],
    "[Gmail]/Important": ["Letter 1"], ALL: ["Letter 1", "Letter 2", "Letter 3"], SPAM: ["Letter 4"],
    TRASH: ["Letter 5"],
}  # fmt: skip


def test_a_message_is_fetched_once_and_listed_under_each_label(box: Box) -> None:
    assert (box.counts.added, box.counts.bodies) == (5, 5)
    assert box.stays() == FIRST
    selected = {one for one in box.gmail.commands if one.startswith(("EXAMINE", "SELECT"))}
    assert {one.partition('"')[2].partition('"')[0] for one in selected} == {ALL, SPAM, TRASH}
    folders = box.folders
    roles = {name: one["type"] for name, one in folders.items() if one["type"] != "custom"}
    assert roles == {
        "INBOX": "inbox", "[Gmail]/Sent Mail": "sent", "[Gmail]/Drafts": "drafts", SPAM: "spam", TRASH: "trash",
        ALL: "archive",
    }  # fmt: skip
    assert folders["Work/Old"]["parentId"] == folders["Work"]["id"]
    assert folders["Büro"]["messageCount"] == 0
    (first,) = box.listed("INBOX")
    assert (first["labels"], first["isRead"]) == (["Work"], False)


def test_an_unchanged_account_costs_a_list_and_three_counters(box: Box) -> None:
    box.sync()
    box.sync()
    assert len([one for one in box.mailbox.commands if not one.startswith("STATUS")]) <= 3
    assert len([one for one in box.mailbox.commands if one.startswith("STATUS")]) == 3


def test_search_and_conversations_find_a_message_once(box: Box) -> None:
    found = box.ann.get(f"/api/{box.account}/messages?q=letter").json["messages"]
    assert sorted(one["subject"] for one in found) == [f"Letter {number}" for number in range(1, 6)]
    work = box.folders["Work"]["id"]
    found = box.ann.get(f"/api/{box.account}/messages?q=letter&folderId={work}").json["messages"]
    assert [one["subject"] for one in found] == ["Letter 1"]
    (one,) = box.listed("INBOX", conversations="true")
    assert one["conversation"] == {"messageCount": 1, "unreadCount": 1}
    found = box.ann.get(f"/api/{box.account}/messages?conversationId={one['conversationId']}").json[
        "messages"
    ]
    assert len(found) == 1


def test_threads_are_gmails(ann: Caller, gmail: Gmail) -> None:
    gmail.put(letter(1), "\\Inbox")
    gmail.put(letter(2), "\\Inbox")
    gmail.put(letter(3), "\\Inbox")
    gmail.join(77, 1, 3)
    account = add_account(ann, gmail.server, gmail.user, port=gmail.port)
    Mailbox(gmail.server, gmail.user, account, gmail.port).sync()
    found = rows("SELECT max(thread_id), count(*) FROM letters GROUP BY conversation_id ORDER BY count(*)")
    assert found[1:] == [("77", 2)]
    assert len(found) == 2


def test_labels_flags_and_deletions_of_other_devices_follow(box: Box) -> None:
    kept = box.id_of("Work", 1)
    box.gmail.relabel(1, add=("New one",), drop=("\\Inbox",))
    box.gmail.labels.append("New one")
    box.gmail.move(3, ALL, TRASH)
    box.sync()
    shown = box.stays()
    assert "INBOX" not in shown
    assert "[Gmail]/Sent Mail" not in shown
    assert (shown["New one"], shown["Work"], shown[TRASH]) == (
        ["Letter 1"],
        ["Letter 1"],
        ["Letter 3", "Letter 5"],
    )
    assert box.id_of("Work", 1) == kept
    assert box.listed("Work")[0]["labels"] == ["New one", "Work"]
    box.gmail.move(2, TRASH, ALL)
    box.sync()
    assert box.stays()["[Gmail]/Sent Mail"] == ["Letter 3"]


def test_a_label_that_is_hidden_from_imap_has_a_folder_as_long_as_it_is_used(box: Box) -> None:
    box.gmail.relabel(2, add=("hidden & quiet",))
    box.sync()
    assert box.stays()["hidden & quiet"] == ["Letter 2"]
    hidden = box.folders["hidden & quiet"]["id"]
    box.gmail.labels.append("hidden &- quiet")
    box.sync()
    assert box.folders["hidden & quiet"]["id"] == hidden
    box.gmail.labels.remove("hidden &- quiet")
    box.gmail.relabel(2, drop=("hidden & quiet",))
    for _ in range(3):
        box.sync()
    assert "hidden & quiet" not in box.folders


def test_flags_are_those_of_the_message_under_each_label(box: Box) -> None:
    answer = box.patch(box.id_of("Work", 1), isRead=True, isStarred=True)
    assert (answer["isRead"], answer["isStarred"]) == (True, True)
    for folder in ("INBOX", "Work", ALL):
        (found,) = [one for one in box.listed(folder) if one["subject"] == "Letter 1"]
        assert (found["isRead"], found["isStarred"]) == (True, True)
    assert {"\\Seen", "\\Flagged"} <= box.gmail.held()[1]
    box.sync()
    assert box.stays()["[Gmail]/Starred"] == ["Letter 1"]


def test_labels_are_given_and_taken_away(box: Box) -> None:
    answer = box.patch(box.id_of("INBOX", 1), labels=["Büro", "two words"])
    assert answer["labels"] == ["Büro", "two words"]
    assert box.gmail.held()[1] == {"\\Inbox", "\\Important", "B&APw-ro", "two words"}
    shown = box.stays()
    assert (shown["Büro"], shown["two words"]) == (["Letter 1"], ["Letter 1"])
    assert "Work" not in shown
    assert any(one.startswith("UID STORE 1 -X-GM-LABELS") for one in box.gmail.commands)


def test_a_move_between_labels_keeps_the_id(box: Box) -> None:
    message = box.id_of("INBOX", 1)
    assert box.to(message, "Büro")["folderId"] == box.folders["Büro"]["id"]
    assert box.gmail.held()[1] == {"Work", "\\Important", "B&APw-ro"}
    shown = box.stays()
    assert (shown["Büro"], shown["Work"], "INBOX" in shown) == (["Letter 1"], ["Letter 1"], False)
    assert box.id_of("Büro", 1) == message
    box.to(message, "Work")  # where it has a row already
    assert "Büro" not in box.stays()
    assert box.id_of("Work", 1) == message


def test_a_move_between_labels_by_another_device_keeps_the_id(box: Box) -> None:
    message = box.id_of("INBOX", 1)
    box.gmail.relabel(1, add=("B&APw-ro",), drop=("\\Inbox",))
    box.sync()
    assert "INBOX" not in box.stays()
    assert box.id_of("Büro", 1) == message


def test_a_pass_that_sees_new_labels_before_http_has_stored_them(box: Box) -> None:
    message, left = box.id_of("INBOX", 1), [box.sync]

    def look(line: bytes) -> None:
        if b"X-GM-LABELS" in line and b"&APw-ro" in line and left:
            left.pop()()
            database.close()

    box.gmail.before_answering = look
    assert box.to(message, "Büro")["id"] == message
    assert not left
    assert "INBOX" not in box.stays()
    assert box.id_of("Büro", 1) == message


def test_what_leaves_its_label_for_all_mail_is_archived(box: Box) -> None:
    message = box.id_of("INBOX", 1)
    assert box.to(message, ALL)["folderId"] == box.folders[ALL]["id"]
    assert "\\Inbox" not in box.gmail.held()[1]
    shown = box.stays()
    assert ("INBOX" in shown, shown["Work"], shown[ALL]) == (False, ["Letter 1"], FIRST[ALL])
    assert box.id_of(ALL, 1) == message


def test_a_message_of_all_mail_gets_the_label_of_where_it_is_moved(box: Box) -> None:
    message = box.id_of(ALL, 2)
    box.to(message, "INBOX")
    assert "\\Inbox" in box.gmail.held()[2]
    assert box.stays()["INBOX"] == ["Letter 1", "Letter 2"]
    assert box.id_of(ALL, 2) == message


@pytest.mark.parametrize("folder", ["INBOX", ALL])
def test_the_trash_and_back(box: Box, folder: str) -> None:
    message = box.id_of(folder, 1)
    assert box.ann.delete(f"/api/{box.account}/messages/{message}").status_code == 204
    shown = box.stays()
    assert ("INBOX" in shown, "Work" in shown, shown[TRASH]) == (False, False, ["Letter 1", "Letter 5"])
    assert box.id_of(TRASH, 1) == message
    assert box.to(message, "INBOX")["id"] == message
    assert (box.shown()["INBOX"], box.shown()[TRASH]) == (["Letter 1"], ["Letter 5"])
    box.sync()
    assert box.stays()["INBOX"] == ["Letter 1"]
    assert box.id_of(ALL, 1) == message


def test_what_is_deleted_from_the_trash_is_gone(box: Box) -> None:
    message = box.id_of(TRASH, 5)
    assert box.ann.delete(f"/api/{box.account}/messages/{message}").status_code == 204
    assert box.gmail.held(TRASH) == {}
    assert TRASH not in box.stays()


def test_spam_and_back(box: Box) -> None:
    message = box.id_of("INBOX", 1)
    assert box.patch(message, isSpam=True)["isSpam"]
    assert box.stays()[SPAM] == ["Letter 1", "Letter 4"]
    assert not box.patch(message, isSpam=False)["isSpam"]
    box.sync()
    assert box.stays()["INBOX"] == ["Letter 1"]


def test_a_new_uidvalidity_keeps_all_rows(box: Box) -> None:
    ids = rows("SELECT id, folder_id FROM messages ORDER BY id")
    box.gmail.server.change_uidvalidity(box.gmail.user, ALL, 4_000_000_000)
    box.sync()
    assert box.stays() == FIRST
    assert rows("SELECT id, folder_id FROM messages ORDER BY id") == ids


def test_what_a_label_shows_can_be_asked_for_alone(box: Box) -> None:
    box.gmail.put(letter(6), "Work")
    box.gmail.put(letter(7), folder=SPAM)
    box.mailbox.sync(folders=("Work",))
    assert box.shown()["Work"] == ["Letter 1", "Letter 6"]
    assert box.shown()[SPAM] == ["Letter 4"]


def test_news_are_waited_for_in_all_mail(box: Box) -> None:
    folder = watched(box.account)
    assert folder is not None
    assert (folder.name, folder.uidnext_done) == (ALL, 4)


def test_an_attachment_is_read_from_where_the_message_lies(ann: Caller, gmail: Gmail) -> None:
    gmail.put(
        b"Subject: With one\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nHi\r\n"
        b"--x\r\nContent-Type: text/x-log\r\nContent-Disposition: attachment; filename=a.log\r\n\r\nlog\r\n--x--\r\n",
        "\\Inbox",
    )  # fmt: skip
    account = add_account(ann, gmail.server, gmail.user, port=gmail.port)
    Mailbox(gmail.server, gmail.user, account, gmail.port).sync()
    folders = {one["type"]: one["id"] for one in ann.get(f"/api/{account}/folders").json["folders"]}
    (message,) = ann.get(f"/api/{account}/folders/{folders['inbox']}/messages").json["messages"]
    detail = ann.get(f"/api/{account}/messages/{message['id']}").json
    answer = ann.client.get(detail["attachments"][0]["downloadUrl"])
    assert (answer.status_code, answer.data) == (200, b"log")


def test_all_mail_that_is_hidden_makes_labels_folders_again(box: Box) -> None:
    box.gmail.hides_all = True
    client = box.gmail.server.client(box.gmail.user)
    for name in (
        "Work",
        '"[Gmail]/Sent Mail"',
        '"[Gmail]/Drafts"',
        '"[Gmail]/Starred"',
        '"[Gmail]/Important"',
    ):
        client.create(name)
    client.append("Work", "", "", letter(1))
    client.logout()
    for _ in range(3):
        box.sync()
    assert box.shown() == {"Work": ["Letter 1"], SPAM: ["Letter 4"], TRASH: ["Letter 5"]}
    box.gmail.hides_all = False
    for _ in range(2):
        box.sync()
    assert box.stays() == FIRST
