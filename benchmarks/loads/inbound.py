"""Mail that comes in: the first sync of a full mailbox from a real Dovecot, and its pages; 50 folders without news.

mbsync pulls the same mail of the same server afterwards. Each finds the server's own index and cache as they are once
somebody has read all of it, so that neither pays for the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.bench import Bench
from benchmarks.daemon import one, relay
from benchmarks.loads.growth import median_ms, memory_mb
from benchmarks.mailbox import WORDS, filled, newest_subject
from benchmarks.processes import wait_until
from benchmarks.references import mbsync
from tests.support.commands import counted
from tests.support.daemon import Daemon
from tests.support.dovecot import HOST, PASSWORD, Dovecot

FOLDERS = 50
PAGES = 40  # of each kind
PATIENCE = 1_800.0  # seconds
SOMEBODY = {"X-Tenant-ID": "bench", "X-User-ID": "ann"}


def inbound(bench: Bench) -> None:
    server = Dovecot()
    try:
        user = filled(server, bench.sizes.inbox)
        with relay(bench.folder, None, allow_private_hosts="on") as daemon:
            daemon.http.headers.update(SOMEBODY)
            account = add_account(daemon, user, server.imap)
            first_sync(bench, daemon, account)
            pages(bench, daemon, account)
        bench.record("mbsync.s", mbsync.pull(bench.folder, server, user, bench.sizes.inbox))
        with relay(bench.folder, None, allow_private_hosts="on") as daemon:
            daemon.http.headers.update(SOMEBODY)
            unchanged_folders(bench, daemon, server)
    finally:
        server.destroy()


def add_account(daemon: Daemon, user: str, port: int) -> str:
    """One that is synced only when it is asked for."""
    body = {
        "accountName": "Bench", "emailAddress": user, "hostname": HOST, "port": port, "encryption": "none",
        "username": user, "password": PASSWORD, "isSyncEnabled": False,
    }  # fmt: skip
    return str(daemon.post("/api/accounts", body, status=201)["id"])


def synced(daemon: Daemon, account: str) -> dict[str, Any]:
    """The task, once it has succeeded."""
    path = f"/api/sync/task/{daemon.post(f'/api/sync/{account}', status=202)['taskId']}"
    wait_until(lambda: daemon.get(path)["finishedAt"] is not None, "the sync to end", PATIENCE, every=0.1)
    task: dict[str, Any] = daemon.get(path)
    if task["status"] != "success":
        raise RuntimeError(f"the sync failed: {task}")
    return task


def first_sync(bench: Bench, daemon: Daemon, account: str) -> None:
    """From its start until the newest message can be read, and until all is here, text included."""
    count = bench.sizes.inbox
    before = memory_mb(daemon)
    readable = f"SELECT count(*) FROM letters WHERE has_body AND subject = '{newest_subject(count)}'"
    seen: list[float] = []
    with watched(lambda: memory_mb(daemon), 0.5) as memory, once(lambda: one(daemon, readable), seen):
        task = synced(daemon, account)
    here = one(daemon, "SELECT count(*) FROM letters WHERE has_body")
    if (task["result"]["messagesAdded"], here) != (count, count):
        raise RuntimeError(f"{count} messages were there: {task}")
    bench.record("inbound.first_s", (task["finishedAt"] - task["startedAt"]) / 1e3)
    bench.record("inbound.newest_s", seen[0] - task["startedAt"] / 1e3)
    bench.record("inbound.memory_mb", max([*memory, memory_mb(daemon)]) - before)


@contextmanager
def once(probe: Callable[[], object], seen: list[float]) -> Iterator[None]:
    """When it first says yes, as time.time(), goes into `seen`; after that it is not asked again, for asking costs."""

    def look() -> float:
        if not seen and probe():
            seen.append(time.time())
        return 0.0

    with watched(look, 0.1):
        yield


@contextmanager
def watched(probe: Callable[[], float], every: float) -> Iterator[list[float]]:
    """What it says, every so many seconds and at the end of the block."""
    values: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            values.append(probe())
            over.wait(every)
        values.append(probe())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield values
    finally:
        over.set()
        thread.join()


def pages(bench: Bench, daemon: Daemon, account: str) -> None:
    folders = daemon.get(f"/api/{account}/folders")["folders"]
    (inbox,) = [folder["id"] for folder in folders if folder["type"] == "inbox"]
    listed = f"/api/{account}/folders/{inbox}/messages?limit=50"
    kinds: dict[str, Callable[[int], object]] = {
        "list": lambda _: daemon.get(listed),
        "conversations": lambda _: daemon.get(f"{listed}&conversations=true"),
        "search": lambda number: daemon.get(
            f"/api/{account}/messages?limit=50&q={WORDS[number % len(WORDS)]}"
        ),
    }
    for kind, ask in kinds.items():
        if not ask(0)["messages"]:  # type: ignore[index]
            raise RuntimeError(f"there is nothing in the {kind}")
        bench.record(f"inbound.{kind}_ms", median_ms(PAGES, ask))


LOGIN = {"CAPABILITY", "AUTHENTICATE", "LOGIN", "ENABLE", "ID"}  # of a pass that finds no kept connection


def unchanged_folders(bench: Bench, daemon: Daemon, server: Dovecot) -> None:
    """How many commands a pass takes that finds no news, beside its login."""
    user = server.user()
    client = server.client(user)
    for number in range(FOLDERS):
        client.create(f'"Folder {number}"')
        client.append(f'"Folder {number}"', "", "", b"Subject: x\r\n\r\nx\r\n")
    client.logout()
    with counted(server.imap) as (port, commands):
        account = add_account(daemon, user, port)
        synced(daemon, account)
        task = synced(daemon, account)
    said = [
        name for at, name in commands if task["startedAt"] <= at <= task["finishedAt"] and name not in LOGIN
    ]
    print(f"    {FOLDERS} unchanged folders: {' '.join(said)}")
    bench.record("inbound.commands", len(said))
