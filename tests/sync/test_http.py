"""Sync from the outside: HTTP in, a real server behind, and the poller that does the work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from models.database import database, rows, run, write
from services.relay import Relay
from services.sync.purge import purge_accounts
from tests.accounts.conftest import user
from tests.support.app import Caller, running_app
from tests.support.dovecot import FULL, HOST, PASSWORD, Dovecot, shared
from tests.support.syncing import letter
from tests.support.tcp import served
from utils.clock import DAY, now_ms
from workers.instance import Membership
from workers.poller import Poller


@pytest.fixture
def app(tmp_path: Path) -> Iterator[APIFlask]:
    with running_app(tmp_path, ALLOW_PRIVATE_HOSTS="on") as app:
        yield app


@pytest.fixture
def ann(app: APIFlask) -> Caller:
    return user(app, "acme", "ann")


@contextmanager
def polling(app: APIFlask, most: int = 8) -> Iterator[Poller]:
    relay: Relay = app.extensions["mailferry"]
    membership = Membership(relay.policy, 60.0)
    poller = Poller(relay, membership.id, most)
    poller.start()
    try:
        yield poller
    finally:
        poller.stop()
        membership.leave()
        assert rows("SELECT count(*) FROM accounts WHERE lease IS NOT NULL") == [(0,)]


@pytest.fixture
def poller(app: APIFlask) -> Iterator[Poller]:
    with polling(app) as poller:
        yield poller


def add_account(caller: Caller, server: Dovecot | None = None, name: str = "", **fields: Any) -> str:
    server = server or shared(FULL)
    name = name or server.user()
    body = {
        "accountName": "Work", "emailAddress": name, "hostname": HOST, "port": server.imap, "encryption": "none",
        "username": name, "password": PASSWORD, "isSyncEnabled": False, "syncInterval": 60, **fields,
    }  # fmt: skip
    answer = caller.post("/api/accounts", body)
    assert answer.status_code == 201, answer.json
    return str(answer.json["id"])


def eventually(wanted: Callable[[], Any], seconds: float = 15.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := wanted()):
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)
    return found


def ended(caller: Caller, task_id: str, seconds: float = 15.0) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        task = caller.get(f"/api/sync/task/{task_id}").json
        return task if task["finishedAt"] else None

    return eventually(look, seconds)  # type: ignore[no-any-return]


def start(caller: Caller, account: str, **options: Any) -> str:
    answer = caller.post(f"/api/sync/{account}", options or None)
    assert answer.status_code == 202, answer.json
    return str(answer.json["taskId"])


def subjects() -> list[str]:
    return [one[0] for one in rows("SELECT subject FROM letters ORDER BY subject")]


def test_a_sync_that_is_asked_for_brings_the_mail(app: APIFlask, ann: Caller, poller: Poller) -> None:
    server = shared(FULL)
    name = server.user()
    for number in range(3):
        server.deliver(name, letter(number))
    account = add_account(ann, name=name)
    answer = ann.post(f"/api/sync/{account}", {"forceFullSync": False})
    assert answer.status_code == 202
    assert answer.json["taskId"] == answer.json["syncId"]
    assert answer.json["status"] == "pending"
    assert answer.json["estimatedCompletionAt"] > answer.json["startedAt"]
    task = ended(ann, answer.json["taskId"])
    assert (task["status"], task["progress"], task["error"]) == ("success", 100, None)
    assert task["result"]["messagesAdded"] == 3
    assert ann.get(f"/api/sync/{account}/status").json == task
    assert ann.get(f"/api/sync/{account}/status?syncId={task['syncId']}").json == task
    assert subjects() == ["Letter 0", "Letter 1", "Letter 2"]
    told = ann.get(f"/api/accounts/{account}").json
    assert told["lastSyncAt"]
    assert not told["isSyncing"]


@pytest.mark.parametrize("options", [{"folders": ["sent"]}, {"folderIds": ["Sent"]}])
def test_folders_go_by_either_name(
    app: APIFlask, ann: Caller, poller: Poller, options: dict[str, Any]
) -> None:
    server = shared(FULL)
    name = server.user()
    server.deliver(name, letter(1))
    client = server.client(name)
    client.append("Sent", "", "", letter(2))
    client.logout()
    account = add_account(ann, name=name)
    assert ended(ann, start(ann, account, **options))["result"]["messagesAdded"] == 1
    assert subjects() == ["Letter 2"]
    assert ended(ann, start(ann, account, force=True))["result"]["messagesAdded"] == 1
    wrong = ann.post(f"/api/sync/{account}", {"folders": ["nowhere"]})
    assert (wrong.status_code, wrong.json["code"]) == (400, "UNKNOWN_FOLDER")


def test_unknown_options_are_named(ann: Caller) -> None:
    answer = ann.post(f"/api/sync/{add_account(ann)}", {"forse": True})
    assert answer.status_code == 400
    assert "forse" in answer.json["message"]


def test_the_same_wish_is_not_doubled(ann: Caller) -> None:
    account = add_account(ann)
    assert start(ann, account) == start(ann, account)
    assert start(ann, account, force=True) != start(ann, account)


def test_a_waiting_sync_can_be_cancelled(ann: Caller) -> None:
    account = add_account(ann)
    task = start(ann, account)
    assert ann.post(f"/api/sync/{account}/cancel?syncId={task}").json["status"] == "cancelled"
    again = ann.post(f"/api/sync/{account}/cancel?syncId={task}")
    assert (again.status_code, again.json["code"]) == (409, "SYNC_ENDED")


def test_a_running_sync_can_be_cancelled(app: APIFlask, ann: Caller, poller: Poller) -> None:
    server = shared(FULL)
    name = server.user()
    client = server.client(name)
    for number in range(3000):
        client.append("INBOX", "", "", letter(number))
    client.logout()
    account = add_account(ann, name=name)
    task = start(ann, account)
    eventually(lambda: rows("SELECT 1 FROM messages LIMIT 1"))
    assert ann.post(f"/api/sync/{account}/cancel").status_code == 200
    assert ended(ann, task)["status"] == "cancelled"
    (count,) = rows("SELECT count(*) FROM messages")[0]
    assert 0 < count < 3000
    assert ended(ann, start(ann, account), 60)["status"] == "success"
    assert rows("SELECT count(*) FROM messages") == [(3000,)]


def test_a_refused_login_waits_for_a_new_password(app: APIFlask, ann: Caller, poller: Poller) -> None:
    account = add_account(ann, password="planted-wrong", isSyncEnabled=True)
    told = eventually(
        lambda: (one := ann.get(f"/api/accounts/{account}").json)["state"] == "needs_reauth" and one
    )
    assert "planted" not in str(told)
    assert told["lastError"]
    (failures,) = rows("SELECT failures FROM accounts")[0]
    write(lambda: run("UPDATE accounts SET next_sync_at = 0"))
    time.sleep(1.2)
    assert rows("SELECT failures FROM accounts") == [(failures,)], "nobody tried again"
    assert ann.put(f"/api/accounts/{account}", {"password": PASSWORD}).status_code == 200
    eventually(lambda: ann.get(f"/api/accounts/{account}").json["lastSyncAt"])
    assert ann.get(f"/api/accounts/{account}").json["state"] == "active"


def test_an_account_without_a_credential_cannot_be_synced(ann: Caller) -> None:
    account = add_account(ann, password=None, credentialId="later")
    answer = ann.post(f"/api/sync/{account}")
    assert (answer.status_code, answer.json["code"]) == (409, "NEEDS_CREDENTIALS")


def test_accounts_are_polled_and_pause_for_their_interval(app: APIFlask, ann: Caller, poller: Poller) -> None:
    account = add_account(ann, isSyncEnabled=True, syncInterval=120)
    last = eventually(lambda: ann.get(f"/api/accounts/{account}").json["lastSyncAt"])
    (due,) = rows("SELECT next_sync_at FROM accounts")[0]
    assert 100_000 < due - last < 140_000


def test_news_of_the_inbox_come_at_once(app: APIFlask, ann: Caller, poller: Poller) -> None:
    """Long before the interval is over."""
    server = shared(FULL)
    name = server.user()
    account = add_account(ann, name=name, isSyncEnabled=True, syncInterval=3600)
    eventually(lambda: ann.get(f"/api/accounts/{account}").json["lastSyncAt"])
    for number in range(3):
        server.deliver(name, letter(number))
        eventually(lambda number=number: f"Letter {number}" in subjects(), 5.0)


def test_a_server_that_fails_is_asked_less_and_less(app: APIFlask, ann: Caller) -> None:
    with served(lambda sock: None) as port, polling(app):
        account = add_account(ann, port=port, isSyncEnabled=True)
        pauses = []
        for failures in (1, 2, 3):
            eventually(lambda failures=failures: rows("SELECT failures FROM accounts") == [(failures,)])
            (due,) = rows("SELECT next_sync_at FROM accounts")[0]
            pauses.append(due - time.time() * 1000)
            write(lambda: run("UPDATE accounts SET next_sync_at = 0"))
        assert pauses[0] < pauses[1] < pauses[2]
        assert ann.get(f"/api/accounts/{account}").json["lastError"]
        task = ended(ann, start(ann, account))
        assert (task["status"], bool(task["error"])) == ("failure", True)


def test_slow_servers_keep_nobody_waiting(app: APIFlask, ann: Caller) -> None:
    """More of them than there are threads, all of one tenant; the other tenant's account works."""
    with served(lambda sock: time.sleep(30)) as port, polling(app, most=4):
        for number in range(6):
            add_account(ann, name=f"slow{number}@example.test", port=port, isSyncEnabled=True)
        time.sleep(1.5)
        bob = user(app, "other", "bob")
        began = time.monotonic()
        account = add_account(bob, isSyncEnabled=True)
        eventually(lambda: bob.get(f"/api/accounts/{account}").json["lastSyncAt"])
        assert time.monotonic() - began < 5


def test_two_pollers_never_sync_one_account_twice(app: APIFlask, ann: Caller) -> None:
    """Of each account there are as many logins as passes."""
    server = shared(FULL)
    names = [server.user() for _ in range(10)]
    with polling(app) as one, polling(app) as other:
        assert one is not other
        accounts = [add_account(ann, name=name, isSyncEnabled=True, syncInterval=3600) for name in names]
        for account in accounts:
            eventually(lambda account=account: ann.get(f"/api/accounts/{account}").json["lastSyncAt"])
        time.sleep(0.7)
        logins = server.log()
        assert [logins.count(f"Login: user=<{name}>") for name in names] == [1] * 10


def test_what_a_dead_process_held_is_taken_over(app: APIFlask, ann: Caller) -> None:
    account = add_account(ann)
    task = start(ann, account)
    write(lambda: run("UPDATE accounts SET lease = 7, instance_id = 999999"))
    write(lambda: run("UPDATE sync_tasks SET state = 'started', started_at = 1"))
    with polling(app):
        assert ended(ann, task)["status"] == "success"


def test_a_deleted_account_is_left_in_peace(app: APIFlask, ann: Caller, poller: Poller) -> None:
    account = add_account(ann, isSyncEnabled=True)
    eventually(lambda: ann.get(f"/api/accounts/{account}").json["lastSyncAt"])
    assert ann.delete(f"/api/accounts/{account}").status_code == 204
    assert ann.post(f"/api/sync/{account}").status_code == 404
    write(lambda: run("UPDATE accounts SET next_sync_at = 0"))
    time.sleep(1.2)
    assert rows("SELECT lease FROM accounts") == [(None,)]
    assert database.obj is not None


def test_it_stops_while_a_server_keeps_it_waiting(app: APIFlask, ann: Caller) -> None:
    with served(lambda sock: time.sleep(30)) as port:
        with polling(app):
            add_account(ann, port=port, isSyncEnabled=True)
            eventually(lambda: rows("SELECT 1 FROM accounts WHERE lease IS NOT NULL"))
            began = time.monotonic()
        assert time.monotonic() - began < 6
    assert rows("SELECT failures, state FROM accounts") == [(0, "active")]


def test_quarantined_messages_are_listed(app: APIFlask, ann: Caller) -> None:
    account = add_account(ann)
    assert ann.get(f"/api/sync/{account}/quarantined").json["messages"] == []
    write(
        lambda: run(
            "INSERT INTO folders (account_id, raw_name, name, role, role_by_user, is_selectable, is_all_mail,"
            " uidnext_done, modseq_done, backfill_min_uid, backfill_floor, missed, message_count, unread_count)"
            " VALUES (?, ?, 'INBOX', 'inbox', FALSE, TRUE, FALSE, 1, 0, 0, 0, 0, 0, 0)",
            account, b"INBOX",
        )
    )  # fmt: skip
    write(
        lambda: run(
            "INSERT INTO quarantined (account_id, folder_id, uidvalidity, uid, reason, created_at)"
            " SELECT account_id, id, 1, 7, 'it cannot be read', 5 FROM folders"
        )
    )
    told = ann.get(f"/api/sync/{account}/quarantined").json
    assert told["pagination"]["total"] == 1
    (one,) = told["messages"]
    assert (one["folder"], one["uid"], one["reason"]) == ("INBOX", 7, "it cannot be read")


def test_a_deleted_account_is_purged_by_retention(app: APIFlask, ann: Caller, poller: Poller) -> None:
    server = shared(FULL)
    name = server.user()
    server.deliver(name, letter(1))
    account = add_account(ann, name=name)
    ended(ann, start(ann, account))
    other = add_account(ann)
    assert ann.delete(f"/api/accounts/{account}").status_code == 204
    relay: Relay = app.extensions["mailferry"]
    now = now_ms()
    assert purge_accounts(relay.policy, now) == 0
    assert purge_accounts(relay.policy, now + relay.policy.retention + DAY) == 1
    for table in ("messages", "letters", "folders", "sync_tasks"):
        assert rows(f"SELECT count(*) FROM {table}") == [(0,)]
    assert rows("SELECT id FROM accounts") == [(other,)]
