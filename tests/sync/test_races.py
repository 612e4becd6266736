"""Changes over HTTP, or by another device, at the worst moments of a pass. Each moment is a command, never a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from models.database import database, rows, run, write
from services.sync import passes
from services.sync.run import Run
from services.sync.store import store
from tests.accounts.conftest import user
from tests.support.app import Caller, running_app
from tests.support.cut import Wire
from tests.support.dovecot import FULL, HOST, PROFILES, shared
from tests.support.syncing import Mailbox, letter
from tests.sync.test_http import add_account


@pytest.fixture(autouse=True)
def _database() -> None:
    """The app brings its own."""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[APIFlask]:
    with running_app(tmp_path, ALLOW_PRIVATE_HOSTS="on") as app:
        yield app


class Box:
    """An account with three letters in INBOX and one in Archive. HTTP reaches its server through `wire`."""

    def __init__(self, app: APIFlask, profile: str) -> None:
        self.ann: Caller = user(app, "acme", "ann")
        server = shared(profile)
        name = server.user()
        self.wire = Wire(HOST, server.imap)
        self.account = add_account(self.ann, server, name, port=self.wire.port)
        self.mailbox = Mailbox(server, name, self.account)
        for number in range(1, 4):
            server.deliver(name, letter(number))
        self.device = server.client(name)
        self.device.append("Archive", "", "", letter(10))
        self.mailbox.sync()
        found = rows("SELECT l.subject, m.id FROM messages m JOIN letters l ON l.id = m.letter_id")
        self.ids: dict[str, int] = dict(found)
        self.folders: dict[str, int] = dict(rows("SELECT role, id FROM folders"))

    def path(self, number: int) -> str:
        return f"/api/{self.account}/messages/{self.ids[f'Letter {number}']}"

    def patch(self, number: int, **fields: Any) -> None:
        answer = self.ann.patch(self.path(number), fields)
        assert answer.status_code == 200, answer.json

    def at(self, moment: str, do: Callable[[], None], *, after: bool = True) -> None:
        """Once, when a pass gives (or has the answer to) a command that holds these words."""
        left = [do]

        def look(command: str) -> None:
            if all(word in command for word in moment.split()) and left:
                left.pop()()

        setattr(self.mailbox, "after" if after else "before", look)

    def when_answered(self, words: bytes, do: Callable[[], None]) -> None:
        """Once, when the server has answered a command of HTTP's so, and before HTTP hears of it."""
        left = [do]

        def look(data: bytes) -> None:
            if words in data and left:
                left.pop()()
                database.close()

        self.wire.before_answering = look

    def as_on_the_server(self) -> None:
        assert self.mailbox.ours() == self.mailbox.theirs()

    def listed(self, folder: str) -> list[int]:
        return [
            one[0]
            for one in rows(
                "SELECT m.id FROM messages m JOIN folders f ON f.id = m.folder_id"
                " WHERE f.name = ? AND m.gone_at IS NULL",
                folder,
            )
        ]

    def flags(self, number: int) -> str:
        return str(rows("SELECT flags FROM messages WHERE id = ?", self.ids[f"Letter {number}"])[0][0])


def boxed(app: APIFlask, profile: str) -> Iterator[Box]:
    box = Box(app, profile)
    with box.wire:
        yield box
    box.device.logout()


@pytest.fixture(params=PROFILES)
def box(request: pytest.FixtureRequest, app: APIFlask) -> Iterator[Box]:
    yield from boxed(app, request.param)


@pytest.fixture
def full(app: APIFlask) -> Iterator[Box]:
    yield from boxed(app, FULL)


def test_flags_that_a_pass_has_fetched_do_not_undo_a_change_made_since(box: Box) -> None:
    box.device.select("INBOX")
    box.device.uid("STORE", "1", "+FLAGS", "(\\Flagged)")
    box.at("UID FETCH FLAGS", lambda: box.patch(1, isRead=True))
    box.mailbox.sync()
    assert "Seen" in box.flags(1)
    box.mailbox.sync()
    box.as_on_the_server()


def test_flags_that_http_has_fetched_do_not_undo_what_a_pass_has_stored_since(box: Box) -> None:
    def meanwhile() -> None:
        box.device.select("INBOX")
        box.device.uid("STORE", "1", "+FLAGS", "(\\Flagged)")
        box.mailbox.sync()

    box.when_answered(b"FLAGS (\\Seen", meanwhile)
    box.patch(1, isRead=True)
    box.mailbox.sync()
    box.as_on_the_server()


def test_a_pass_that_sees_a_move_before_http_has_stored_it(box: Box) -> None:
    box.when_answered(b"COPYUID" if "UIDPLUS" in _offered(box) else b"OK Search", box.mailbox.sync)
    box.patch(1, folderId=str(box.folders["archive"]))
    for _ in range(3):
        assert box.ids["Letter 1"] in box.listed("Archive")
        box.mailbox.sync()
    box.as_on_the_server()


def test_a_pass_that_has_stored_the_new_place_before_the_old_was_left(full: Box) -> None:
    """It has looked at INBOX already, and finds in Archive what for it is in both."""
    box, moved, stored = full, threading.Event(), threading.Event()
    box.device.append("Archive", "", "", letter(11))
    box.at("EXAMINE Archive", lambda: _released(stored, moved), after=False)
    passing = threading.Thread(target=_and_close, args=(box.mailbox.sync,))
    passing.start()
    assert stored.wait(10)

    def meanwhile() -> None:
        moved.set()
        passing.join(10)

    box.when_answered(b"COPYUID", meanwhile)
    box.patch(1, folderId=str(box.folders["archive"]))
    assert not passing.is_alive()
    assert box.listed("Archive").count(box.ids["Letter 1"]) == 1
    box.as_on_the_server()
    box.mailbox.sync()
    box.as_on_the_server()
    assert box.ids["Letter 1"] in box.listed("Archive")


def test_two_moves_of_one_message_at_once(full: Box) -> None:
    """Another device is quicker; a pass tells us where it is before HTTP has noticed that it has left."""
    box = full
    box.device.select("INBOX")
    box.device._simple_command("UID", "MOVE", "1", "Archive")  # type: ignore[attr-defined]
    box.when_answered(b"OK Fetch completed", box.mailbox.sync)
    assert box.ann.patch(box.path(1), {"isRead": True}).status_code == 404
    box.as_on_the_server()
    assert box.ids["Letter 1"] in box.listed("Archive")


def test_what_left_during_a_pass_is_not_erased_by_it(full: Box) -> None:
    """It may have gone to where this pass had looked already. HTTP tells the time by when it was asked."""
    box = full
    box.device.append("INBOX", "", "", letter(4))

    def leave() -> None:
        box.device.select("INBOX")
        box.device._simple_command("UID", "MOVE", "1", "Archive")  # type: ignore[attr-defined]
        write(lambda: run("UPDATE messages SET gone_at = 1 WHERE id = ?", box.ids["Letter 1"]))

    box.at("UID FETCH BODY.PEEK[1]", leave)
    box.mailbox.sync()
    box.mailbox.sync()
    box.as_on_the_server()
    assert box.ids["Letter 1"] in box.listed("Archive")


def test_a_pass_and_http_that_store_the_same_place_at_once(
    full: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction of the pass is open while HTTP wants to write: it has to wait."""
    box, done = full, threading.Event()
    stored = threading.Event()

    def slow(run_: Run, folder: Any, arrived: Any) -> Any:
        told = store(run_, folder, arrived)
        if folder.name == "Archive":
            stored.set()
            done.wait(0.5)
        return told

    monkeypatch.setattr(passes, "store", slow)
    box.device.append("Archive", "", "", letter(11))
    moved, ready = threading.Event(), threading.Event()
    box.at("EXAMINE Archive", lambda: _released(ready, moved), after=False)
    passing = threading.Thread(target=_and_close, args=(box.mailbox.sync,))
    passing.start()
    assert ready.wait(10)

    def meanwhile() -> None:
        moved.set()
        assert stored.wait(10)

    box.when_answered(b"COPYUID", meanwhile)
    box.patch(1, folderId=str(box.folders["archive"]))
    done.set()
    passing.join(10)
    box.as_on_the_server()
    assert box.listed("Archive").count(box.ids["Letter 1"]) == 1


def _offered(box: Box) -> set[str]:
    client = box.mailbox.open()
    client.close()
    return set(client.capabilities)


def _released(ready: threading.Event, go: threading.Event) -> None:
    ready.set()
    assert go.wait(10)


def _and_close(work: Callable[[], Any]) -> None:
    try:
        work()
    finally:
        database.close()
