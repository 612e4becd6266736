"""`tail`: what happens to mail, as it happens."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from models.database import database, row, write
from models.database import run as execute
from services import tail as tails
from services.tail import PATIENCE, TYPES, Tail, Wanted
from tests.cli.conftest import CommandLine
from tests.support.daemon import ROOT, Daemon
from tests.support.sink import Sink
from utils.clock import HOUR, now_ms


@pytest.fixture
def mail(run: CommandLine) -> CommandLine:
    run(
        "configs",
        "add",
        "--name",
        "one",
        "--email",
        "a@b.test",
        "--host",
        "127.0.0.1",
        "--port",
        "9",
        "--shared",
    )
    for number in (1, 2):
        run("send", "--to", f"ann{number}@example.com", "--to", "bob@example.com", "--text", "Hi")
    return run


def lines(run: CommandLine, *argv: str) -> list[dict[str, Any]]:
    result = run("tail", "--no-follow", "--json", *argv)
    assert result.status == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def attempt(email_id: int, outcome: str, at: int, attempt_id: int | None = None) -> None:
    names, values = "", ""
    if attempt_id is not None:
        names, values = "id, ", f"{attempt_id}, "
    write(lambda: execute(
        f"INSERT INTO attempts ({names}email_id, smtp_config_id, instance_id, claimed_at, finished_at, stage, outcome,"
        f" blame, code, reply) VALUES ({values}?, 1, 1, ?, ?, 'dot', ?, 'nobody', 451, 'later')",
        email_id, at, at, outcome,
    ))  # fmt: skip


def mail_event(email_id: int, at: int) -> None:
    write(lambda: execute(
        "INSERT INTO events (email_id, at, type, detail) VALUES (?, ?, 'bounced', '')", email_id, at
    ))  # fmt: skip


def test_it_begins_now_and_since_begins_earlier(mail: CommandLine) -> None:
    assert lines(mail) == []
    told = lines(mail, "--since", "1h")
    assert [(one["type"], one["email_id"], one["recipient"], one["recipients"]) for one in told] == [
        ("accepted", 1, "ann1@example.com", 2), ("accepted", 2, "ann2@example.com", 2),
    ]  # fmt: skip
    people = mail("tail", "--no-follow", "--since", "1h").out
    assert "ann1@example.com (+1)" in people and len(people.splitlines()) == 2


def test_each_filter_narrows_it(mail: CommandLine) -> None:
    mail("emails", "cancel", "1")
    attempt(2, "retry", now_ms())
    assert [one["type"] for one in lines(mail, "--since", "1h")] == [
        "accepted",
        "accepted",
        "cancelled",
        "deferred",
    ]
    assert [one["email_id"] for one in lines(mail, "--since", "1h", "--state", "cancelled")] == [1]
    assert [one["type"] for one in lines(mail, "--since", "1h", "--email", "2")] == ["accepted", "deferred"]
    (deferred,) = lines(mail, "--since", "1h", "--config", "1")
    assert (deferred["smtp_config"], deferred["code"], deferred["reply"]) == ("one", 451, "later")
    assert lines(mail, "--since", "1h", "--tenant", "acme") == []
    assert mail("tail", "--state", "nonsense").status == 2


def test_what_happened_before_since_is_left_out(mail: CommandLine) -> None:
    write(lambda: execute("UPDATE emails SET created_at = ? WHERE id = 1", now_ms() - 2 * HOUR))
    assert [one["email_id"] for one in lines(mail, "--since", "1h")] == [2]
    assert [one["email_id"] for one in lines(mail, "--since", "3h")] == [1, 2]


def test_a_long_past_comes_in_batches_and_in_order(
    mail: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "BATCH", 7)
    began = now_ms()
    for number in range(40):
        attempt(1 + number % 2, "retry", began + number)
    mail("emails", "cancel", "1")
    told = lines(mail, "--since", "1h")
    assert len(told) == 43 and [one["at"] for one in told] == sorted(one["at"] for one in told)


def test_none_is_lost_where_times_do_not_follow_the_ids(
    mail: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deliveries end at one time and are recorded at another."""
    monkeypatch.setattr(tails, "BATCH", 3)
    began = now_ms() - HOUR // 2
    for number in range(30):
        attempt(2, "retry", began + (number * 7919) % 1_000)
        mail_event(1, began + (number * 104_729) % 1_000)
    told = lines(mail, "--since", "1h")
    assert len(told) == 62
    assert (
        sum(one["type"] == "deferred" for one in told) == sum(one["type"] == "bounced" for one in told) == 30
    )


def test_an_id_that_is_committed_late_is_told_and_one_that_never_is_waited_for_no_longer(
    mail: CommandLine,
) -> None:
    now = now_ms()
    following = Tail(Wanted(types=("deferred",)))
    seen = lambda at: [one["detail"] for one in following.read(at)[0]]  # noqa: E731
    attempt(1, "retry", now, 11)
    assert len(seen(now)) == 1 and seen(now) == []
    attempt(1, "retry", now, 10)
    assert len(seen(now)) == 1, "one that another transaction held back"
    source = following._sources[1]
    assert source.floor < 10 and seen(now + PATIENCE + 1) == []
    assert source.floor == 11, "1 to 9 never came"


def test_looking_costs_a_few_steps_of_an_index_however_much_there_is(mail: CommandLine) -> None:
    if database.shared:
        found = database.obj.execute_sql(
            "EXPLAIN SELECT id FROM attempts WHERE id > 5 ORDER BY id LIMIT 9"
        ).fetchall()
        assert "Index" in str(found)
        return
    for sql in (tails._ACCEPTED, tails._ATTEMPTED, tails._NOTED):
        plan = row(f"EXPLAIN QUERY PLAN {sql}", 5, 9)
        assert plan is not None and "SEARCH" in plan[3] and "rowid>?" in plan[3]


def test_every_word_of_the_source_is_one_to_filter_by() -> None:
    """Event types are written in many places; a new one must be told to tail."""
    import re

    found = set()
    for path in (ROOT / "services").rglob("*.py"):
        text = path.read_text()
        found |= set(re.findall(r'Event\.create\([^)]*type="(\w+)"', text, re.DOTALL))
        found |= set(re.findall(r'_note\(\s*[\w.]+, now, "(\w+)"', text))
    assert len(found) > 8 and found <= set(TYPES)


@contextmanager
def following(
    daemon: Daemon, *argv: str
) -> Iterator[tuple[subprocess.Popen[str], queue.Queue[dict[str, Any]]]]:
    """`tail --json` as a process of its own, and the lines that it tells."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "tail", "--json", "--since", "1h", *argv],
        env=daemon.environment, cwd=daemon.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )  # fmt: skip
    told: queue.Queue[dict[str, Any]] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            told.put(json.loads(line))

    threading.Thread(target=read, daemon=True).start()
    try:
        yield process, told
    finally:
        process.kill()
        process.wait()


def test_it_follows_a_running_relay_over_its_restart_until_ctrl_c(tmp_path: Path) -> None:
    with Sink() as sink, Daemon(tmp_path) as daemon:
        sink.reply_to_rcpt("gone@example.com", "550 5.1.1 no such user")
        daemon.add_config(sink.port)
        with following(daemon) as (process, told):
            first = daemon.send()
            assert [(one["type"], one["email_id"]) for one in (told.get(timeout=60), told.get(timeout=60))] == [
                ("accepted", first), ("sent", first),
            ]  # fmt: skip
            daemon.stop()
            daemon.start()
            second = daemon.send(recipients=["gone@example.com"])
            assert told.get(timeout=60)["type"] == "accepted"
            failed = told.get(timeout=60)
            assert (failed["type"], failed["email_id"], failed["code"]) == ("failed", second, 550)
            assert failed["smtp_config"] == f"config-{sink.port}" and "no such user" in failed["reply"]
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
            assert process.stderr is not None and "Traceback" not in process.stderr.read()
