"""Connections to mail servers are kept for a moment, for one account and thread at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from apiflask import APIFlask

from models.account import Account
from models.database import run, write
from services.errors import BusyError, NotFoundError
from services.imap import Client, Endpoint
from services.inbox import connections
from services.inbox.connections import connection
from services.relay import Relay
from tests.inbox.conftest import Box
from tests.support.app import Caller
from tests.support.dovecot import FULL, PASSWORD, shared
from utils.clock import now_ms
from utils.pool import NoPlaceError, Places, Pool


@pytest.fixture
def box(ann: Caller, poller: Any) -> Iterator[Box]:
    box = Box(ann, shared(FULL))
    yield box
    box.client.logout()


@pytest.fixture
def relay(app: APIFlask) -> Iterator[Relay]:
    relay: Relay = app.extensions["mailferry"]
    yield relay
    relay.mailboxes.close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    """The connections that are made, in order; real ones."""
    made: list[Client] = []
    open_ = Client.open

    def noting(endpoint: Endpoint, *arguments: Any, **more: Any) -> Client:
        made.append(open_(endpoint, *arguments, **more))
        return made[-1]

    monkeypatch.setattr(connections.Client, "open", noting)
    return made


def flip(box: Box, is_read: bool) -> int:
    return box.ann.patch(box.path, {"isRead": is_read}).status_code


def test_changes_in_a_row_take_one_login(box: Box, relay: Relay, opened: list[Client]) -> None:
    for number in range(10):
        assert flip(box, number % 2 == 0) == 200
    assert len(opened) == 1
    assert box.on_server("INBOX") == [set()]
    relay.mailboxes.close()
    assert not opened[0].is_open
    assert flip(box, True) == 200  # while it stops: a connection of its own, which ends with it
    assert [one.is_open for one in opened] == [False, False]


def test_one_that_died_is_replaced(box: Box, relay: Relay, opened: list[Client]) -> None:
    assert flip(box, True) == 200
    box.client.logout()
    box.server.doveadm("kick", box.user)
    time.sleep(0.1)
    box.client = box.server.client(box.user)
    assert flip(box, False) == 200
    assert [one.is_open for one in opened] == [False, True]


def test_a_failure_ends_a_connection_and_a_refusal_does_not(
    box: Box, relay: Relay, opened: list[Client]
) -> None:
    account = Account.get_by_id(box.account)
    with pytest.raises(NotFoundError), connection(relay, account, 10, 1):
        raise NotFoundError("between two commands")
    with connection(relay, account, 10, 1):
        pass
    assert len(opened) == 1
    with pytest.raises(ZeroDivisionError), connection(relay, account, 10, 1):
        _ = 1 // 0
    assert not opened[0].is_open


def test_new_settings_take_a_new_login(box: Box, relay: Relay, opened: list[Client]) -> None:
    assert flip(box, True) == 200
    answer = box.ann.put(f"/api/accounts/{box.account}", {"hostname": "localhost", "password": PASSWORD})
    assert answer.status_code == 200, answer.json
    assert flip(box, False) == 200
    assert [one.is_open for one in opened] == [False, True]


def test_a_login_that_is_refused_is_not_tried_again(
    box: Box, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.ann.put(f"/api/accounts/{box.account}", {"password": "wrong"})
    answer = box.ann.patch(box.path, {"isRead": True})
    assert (answer.status_code, answer.json["code"]) == (502, "NEEDS_REAUTH")
    assert "wrong" not in answer.text
    assert box.ann.get(f"/api/accounts/{box.account}").json["state"] == "needs_reauth"
    with monkeypatch.context() as patch:
        patch.setattr(connections.Client, "open", None)
        answer = box.ann.patch(box.path, {"isRead": True})
    assert (answer.status_code, answer.json["code"]) == (409, "NEEDS_REAUTH")
    box.ann.put(f"/api/accounts/{box.account}", {"password": PASSWORD})
    assert flip(box, True) == 200


def test_an_account_without_a_credential_is_no_server_s_fault(box: Box, relay: Relay) -> None:
    write(lambda: run("DELETE FROM credentials"))
    answer = box.ann.patch(box.path, {"isRead": True})
    assert (answer.status_code, answer.json["code"]) == (409, "NEEDS_CREDENTIALS")


def test_who_finds_none_free_is_told_when_to_come_again(
    box: Box, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.05)
    account = Account.get_by_id(box.account)
    with (
        connection(relay, account, 10, 1),
        connection(relay, account, 10, 1),
        connection(relay, account, 10, 1),
    ):
        answer = box.ann.patch(box.path, {"isRead": True})
        assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (503, "BUSY", "2")
        with pytest.raises(BusyError), connection(relay, account, 10, now_ms()):
            pass
    assert flip(box, True) == 200


# The pool, of anything.


def pool(closed: list[str], **more: Any) -> Pool[str]:
    return Pool(closed.append, **{"per_key": 2, "total": 3, "idle_seconds": 60.0} | more)


def test_what_is_lent_is_nobody_elses() -> None:
    closed: list[str] = []
    one = pool(closed)
    assert one.take("a", 1, 0) is None
    one.give_back("a", 1, "x")
    assert one.take("b", 1, 0) is None and one.take("a", 1, 0) == "x" and one.take("a", 1, 0) is None
    for key in ("a", "c"):  # of this key, and in all
        with pytest.raises(NoPlaceError):
            one.take(key, 1, 0)
    assert closed == []


def test_what_is_of_another_version_or_too_old_or_too_much_is_closed() -> None:
    closed: list[str] = []
    one = pool(closed)
    for thing in "xy":
        one.take("a", 1, 0)
        one.give_back("a", 1, thing)
        one.take("a", 2, 0)
    assert closed == ["x", "y"]
    closed.clear()
    one = pool(closed)
    for number in range(5):
        key = f"k{number}"
        one.take(key, 1, 0)
        one.give_back(key, 1, key)
    assert closed == ["k0", "k1"]
    one = pool(closed, idle_seconds=-1.0)
    one.take("a", 1, 0)
    one.give_back("a", 1, "old")
    assert one.take("b", 1, 0) is None and closed[-1] == "old"


def test_after_its_end_nothing_is_kept() -> None:
    closed: list[str] = []
    one = pool(closed)
    one.take("a", 1, 0)
    one.close()
    one.give_back("a", 1, "x")
    assert closed == ["x"] and one.take("a", 1, 0) is None


def test_who_waits_gets_the_place_that_becomes_free() -> None:
    places = Places(per_key=1, total=5)
    places.take("a", 0)
    got = threading.Event()

    def wait() -> None:
        places.take("a", 30)
        got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    places.take("b", 0)
    assert not got.is_set()
    places.leave("a")
    waiting.join(30)
    assert got.is_set()


def test_many_threads_share_what_there_is() -> None:
    closed: list[str] = []
    one = pool(closed, per_key=3, total=3)
    lent: set[str] = set()
    clashes: list[str] = []
    gate = threading.Lock()

    def work(name: int) -> None:
        for turn in range(100):
            thing = one.take("a", 1, 30) or f"{name}.{turn}"
            with gate:
                clashes.extend({thing} & lent)
                lent.add(thing)
            with gate:
                lent.discard(thing)
            one.give_back("a", 1, thing if turn % 7 else None)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert clashes == [] and not any(thread.is_alive() for thread in threads)
