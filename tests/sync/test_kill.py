"""kill -9 while the daemon syncs: afterwards nothing is missing, and nothing is there twice."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.dovecot import FULL, HOST, PASSWORD, PROFILES, Dovecot, shared
from tests.support.syncing import folders_of, letter, messages_of

ACCOUNT_OF = {"X-Tenant-ID": "acme", "X-User-ID": "ann"}


def kill_and_compare(folder: Path, profile: str, kills: int, messages: int, seed: int) -> None:
    chance = random.Random(seed)
    server = shared(profile)
    name = server.user()
    client = server.client(name)
    for number in range(messages):
        client.append(chance.choice(["INBOX", "INBOX", "Archive"]), "", "", letter(number))
    daemon = Daemon(folder, allow_private_hosts="on")
    daemon.http.headers.update(ACCOUNT_OF)
    daemon.start()
    account = add_account(daemon, server, name)
    for _ in range(kills):
        change_something(client, chance, messages)
        daemon.http.post(f"{daemon.url}/api/sync/{account}", timeout=10)
        time.sleep(chance.uniform(0.0, 1.5))
        daemon.kill()
        daemon.start()
    task = daemon.post(f"/api/sync/{account}", status=202)["taskId"]
    wait_for(daemon, task)
    # Flags of old messages, where the server cannot tell which have changed, are compared now and then, or by force.
    wait_for(daemon, daemon.post(f"/api/sync/{account}", {"force": True}, status=202)["taskId"])
    try:
        assert ours(daemon) == {
            (raw.decode(), uid, told[0], told[1])
            for raw in folders_of(client)
            for uid, told in messages_of(client, raw).items()
        }
        assert daemon.query("SELECT count(*) FROM letters WHERE NOT has_body") == [(0,)]
        assert (
            daemon.query(
                "SELECT folder_id, uidvalidity, uid FROM messages GROUP BY 1, 2, 3 HAVING count(*) > 1"
            )
            == []
        )
        assert daemon.query("SELECT count(*) FROM letters") == [(count_of_letters(daemon),)]
    finally:
        daemon.stop()
        daemon.http.close()
        client.logout()


def change_something(client: Any, chance: random.Random, messages: int) -> None:
    client.select("INBOX")
    uids = client.uid("SEARCH", "ALL")[1][0].split()
    some = b",".join(chance.sample(uids, min(20, len(uids)))).decode()
    client.uid("STORE", some, "+FLAGS", chance.choice(["(\\Seen)", "(\\Flagged)"]))
    client._simple_command("UID", "MOVE", some.rpartition(",")[2], "Trash")
    client.append("INBOX", "", "", letter(1_000_000 + chance.randrange(1_000_000)))
    client.unselect()


def add_account(daemon: Daemon, server: Dovecot, name: str) -> str:
    body = {
        "accountName": "Work", "emailAddress": name, "hostname": HOST, "port": server.imap, "encryption": "none",
        "username": name, "password": PASSWORD, "syncInterval": 3600,
    }  # fmt: skip
    return str(daemon.post("/api/accounts", body, status=201)["id"])


def wait_for(daemon: Daemon, task: str) -> None:
    end = time.monotonic() + 60
    while (told := daemon.get(f"/api/sync/task/{task}"))["finishedAt"] is None:
        assert time.monotonic() < end, told
        time.sleep(0.1)
    assert told["status"] == "success", told


def ours(daemon: Daemon) -> set[tuple[Any, ...]]:
    found = daemon.query(
        "SELECT f.name, m.uid, m.flags, l.size FROM messages m JOIN folders f ON f.id = m.folder_id"
        " JOIN letters l ON l.id = m.letter_id WHERE m.gone_at IS NULL"
    )
    return {(name, uid, tuple(json.loads(flags)), size) for name, uid, flags, size in found}


def count_of_letters(daemon: Daemon) -> int:
    return int(daemon.query("SELECT count(DISTINCT letter_id) FROM messages")[0][0])


def test_killed_at_random_moments(tmp_path: Path) -> None:
    kill_and_compare(tmp_path, FULL, kills=3, messages=800, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("profile", PROFILES)
def test_killed_at_thirty_random_moments(tmp_path: Path, profile: str) -> None:
    kill_and_compare(tmp_path, profile, kills=30, messages=3_000, seed=2)
