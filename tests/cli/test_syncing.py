"""`accounts sync`, with a daemon and without one, on a terminal and without one."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from models.database import rows
from services.presence import running
from tests.cli.conftest import CommandLine
from tests.cli.test_accounts import account_on, relay_of
from tests.support.daemon import ROOT
from tests.support.dovecot import shared
from tests.support.pop3 import mailbox, pop3
from tests.support.syncing import letter
from utils.clock import now_ms
from workers.instance import Membership
from workers.poller import Poller

MESSAGES = {f"uid-{number}": letter(number) + b".\r\n" for number in range(5)}


@pytest.fixture(autouse=True)
def _private(run: CommandLine) -> None:
    run.env["ALLOW_PRIVATE_HOSTS"] = "on"


@contextmanager
def daemon(run: CommandLine) -> Iterator[None]:
    relay = relay_of(run)
    membership = Membership(relay.policy, 60.0)
    poller = Poller(relay, membership.id)
    poller.start()
    try:
        yield
    finally:
        poller.stop()
        membership.leave()


def begun(run: CommandLine, *argv: str, **streams: int) -> subprocess.Popen[str]:
    """`python app.py accounts sync …` as a process of its own."""
    given = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "accounts", "sync", *argv],
        env=given | run.env | {"TERM": "xterm", "COLUMNS": "100"}, cwd=run.data_dir, text=True, preexec_fn=_hear,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
    )  # fmt: skip


def _hear() -> None:
    """Whoever runs the tests in the background has had SIGINT ignored, and that is handed down."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def on_a_terminal(
    run: CommandLine, account: str, act: Callable[[int, subprocess.Popen[str]], None]
) -> tuple[int, str]:
    """The exit status, and what was shown. `act` may type into it."""
    ours, theirs = pty.openpty()
    process = begun_on(run, account, theirs)
    os.close(theirs)
    act(ours, process)
    shown = bytearray()
    with suppress(OSError):  # how the end of a terminal is told
        while block := os.read(ours, 10_000):
            shown += block
    os.close(ours)
    return process.wait(20), re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())


def begun_on(run: CommandLine, account: str, terminal: int) -> subprocess.Popen[str]:
    def take() -> None:
        """Ctrl-C there is for us."""
        _hear()
        os.setsid()
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    given = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "accounts", "sync", account],
        env=given | run.env | {"TERM": "xterm", "COLUMNS": "100"}, cwd=run.data_dir, text=True,
        stdin=terminal, stdout=terminal, stderr=terminal, preexec_fn=take,
    )  # fmt: skip


def eventually(wanted: Callable[[], object], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)


def state() -> tuple[str, int]:
    """Of the last task, and how many leases are held."""
    ((task,),) = rows("SELECT state FROM sync_tasks ORDER BY created_at DESC LIMIT 1")
    return task, int(rows("SELECT count(*) FROM accounts WHERE lease IS NOT NULL")[0][0])


def trickle(sock: socket.socket) -> None:
    sock.sendall(b"+OK\r\n")
    with suppress(OSError):
        while True:
            sock.sendall(b"x" * 100)
            time.sleep(0.1)


@pytest.fixture
def two_folders(run: CommandLine) -> str:
    """An account with mail in two folders."""
    server = shared()
    name = server.user()
    client = server.client(name)
    for number in range(30):
        client.append("INBOX" if number % 3 else "Archive", "", "", letter(number))
    client.logout()
    return account_on(relay_of(run), name, server.imap)


def test_a_daemon_that_runs_does_it(run: CommandLine, two_folders: str) -> None:
    with daemon(run):
        done = run("accounts", "sync", two_folders, "--json")
        assert done.status == 0, done.err
        assert (done.json["status"], done.json["result"]["messagesAdded"]) == ("success", 30)
        assert done.json["folders"] == [
            {"name": "INBOX", "done": 20, "total": 20}, {"name": "Archive", "done": 10, "total": 10}
        ]  # fmt: skip
        assert "success" in run("accounts", "sync", two_folders, "--full", "--folder", "inbox").out
    assert rows("SELECT count(*) FROM instances") in ([(0,)], [(1,)])  # no other was needed


def test_without_a_daemon_it_is_done_here_and_told_in_lines(run: CommandLine, two_folders: str) -> None:
    process = begun(run, two_folders)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert err.splitlines() == ["INBOX: 20 of 20", "Archive: 10 of 10"]
    assert re.search(r"status +success", out) and re.search(r"messagesAdded +30", out)
    assert state() == ("success", 0)
    assert rows("SELECT count(*) FROM instances WHERE ended_at IS NULL") == [(0,)]


def test_on_a_terminal_each_folder_has_a_bar(run: CommandLine, two_folders: str) -> None:
    status, shown = on_a_terminal(run, two_folders, lambda terminal, process: None)
    assert status == 0
    assert re.search(r"INBOX .*20/20", shown), shown
    assert re.search(r"Archive .*10/10", shown), shown
    assert "success" in shown


@pytest.mark.parametrize("port", ["imap", "nowhere"])
def test_what_fails_is_told_at_once(run: CommandLine, port: str) -> None:
    """A refused login, and a server that is away: without a daemon nobody would try again."""
    server = shared()
    account = account_on(relay_of(run), server.user(), server.imap if port == "imap" else 9)
    if port == "imap":
        run.env["CREDENTIALS_KEY"] = (
            "xYzB3k9fQ1xYzB3k9fQ1xYzB3k9fQ1xYzB3k9fQ1xY0="  # the password cannot be read
        )
    done = run("accounts", "sync", account)
    assert done.status == 1
    assert "failure" in done.out and "error" in done.out
    assert state() == ("failure", 0)
    assert run("accounts", "sync", account, "--folder", "x", "--tenant", "other").status == 1


@pytest.mark.parametrize("said", ["silent", "busy"])
def test_ctrl_c_calls_it_off(run: CommandLine, said: str) -> None:
    """Whether it waits for its server, or is busy with what comes."""
    silent = {"RETR 2": lambda sock: sock.recv(1)}
    with pop3(mailbox(MESSAGES) | (silent if said == "silent" else {"RETR 2": trickle})) as server:
        account = account_on(relay_of(run), "ann@example.test", server.port, "pop3")

        def interrupt(terminal: int, process: subprocess.Popen[str]) -> None:
            eventually(lambda: "RETR 2" in server.heard)
            os.write(terminal, b"\x03")

        status, shown = on_a_terminal(run, account, interrupt)
        assert status == 130, shown
        assert "Traceback" not in shown
        assert state() == ("cancelled", 0)
        server.answers = mailbox(MESSAGES)
        assert run("accounts", "sync", account).status == 0


def test_ctrl_c_calls_the_daemon_off(run: CommandLine) -> None:
    with daemon(run), pop3(mailbox(MESSAGES) | {"RETR 2": trickle}) as server:
        account = account_on(relay_of(run), "ann@example.test", server.port, "pop3")
        process = begun(run, account)
        eventually(lambda: "RETR 2" in server.heard)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 130, err
        assert state() == ("cancelled", 0)


def test_one_that_was_killed_holds_up_nobody(run: CommandLine) -> None:
    """And while it lived, nobody took it for a process that delivers."""
    with pop3(mailbox(MESSAGES) | {"RETR 2": trickle}) as server:
        account = account_on(relay_of(run), "ann@example.test", server.port, "pop3")
        process = begun(run, account)
        eventually(lambda: "RETR 2" in server.heard)
        assert rows("SELECT count(*) FROM instances WHERE ended_at IS NULL") == [(1,)]
        assert running(relay_of(run).policy, now_ms()) == []
        process.kill()
        process.communicate(timeout=20)
        server.answers = mailbox(MESSAGES)
        assert run("accounts", "sync", account).status == 0
    assert rows("SELECT count(*) FROM letters") == [(5,)]
    assert state() == ("success", 0)


def test_two_at_once_do_it_in_turn(run: CommandLine, two_folders: str) -> None:
    """With --json there is nothing else to be read."""
    processes = [begun(run, two_folders, *more, "--json") for more in ([], ["--full"])]
    added = 0
    for process in processes:
        out, err = process.communicate(timeout=40)
        assert (process.returncode, err) == (0, "")
        added += json.loads(out)["result"]["messagesAdded"]
    assert added == 30
