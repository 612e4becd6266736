"""What only PostgreSQL does: writes side by side, and a server that goes away and comes back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from peewee import IntegrityError, OperationalError

import models
from models.database import FOR_UPDATE, database, hold, row, rows, run, run_many, write
from models.errors import InDoubtError
from models.listener import Listener
from models.service import Switch
from tests.support import database as databases
from tests.support.cut import Wire
from tests.support.postgres import PASSWORD, Server
from utils import clock

pytestmark = databases.postgresql_only


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    where = str(databases.location(tmp_path))
    models.initialize_db(where)
    yield where
    databases.close()


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """To the bound database."""
    made, through = Wire.to(str(databases.location(tmp_path)))
    with made:
        models.initialize_db(through)
        yield made
        databases.close()


def put(name: str, value: str = "1") -> None:
    Switch.create(name=name, value=value, changed_at=1)


def names() -> set[str]:
    return {name for (name,) in rows("SELECT name FROM switches")}


def together(*works: Callable[[], Any]) -> list[Any]:
    """What each gave, or raised."""
    results: list[Any] = [None] * len(works)

    def one(n: int) -> None:
        try:
            results[n] = works[n]()
        except Exception as exc:
            results[n] = exc
        finally:
            database.close()

    threads = [threading.Thread(target=one, args=(n,)) for n in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return results


def test_jobs_that_deadlock_are_both_done(url: str) -> None:
    write(lambda: (put("a", "0"), put("b", "0")))
    meet = threading.Barrier(2)
    runs: list[str] = []

    def job(first: str, second: str) -> None:
        runs.append(first)
        run("UPDATE switches SET value = value || ? WHERE name = ?", first, first)
        if len(runs) <= 2:
            meet.wait(10)
        run("UPDATE switches SET value = value || ? WHERE name = ?", first, second)

    results = together(lambda: write(lambda: job("a", "b")), lambda: write(lambda: job("b", "a")))
    assert results == [None, None]
    assert len(runs) == 3, "one of the two was rolled back and run again"
    assert {"".join(sorted(value)) for (value,) in rows("SELECT value FROM switches")} == {"0ab"}


def test_a_check_before_an_insert_is_made_again_when_another_was_first(url: str) -> None:
    meet = threading.Barrier(2)
    tries: list[int] = []

    def job() -> str:
        if row("SELECT 1 FROM switches WHERE name = 'x'"):
            return "taken"
        tries.append(1)
        if len(tries) <= 2:
            meet.wait(10)
        put("x")
        return "made"

    assert sorted(together(lambda: write(job), lambda: write(job))) == ["made", "taken"]
    write(lambda: put("y"))
    with pytest.raises(IntegrityError):
        write(lambda: put("y"))  # it stays wrong however often it is run


def test_who_holds_a_name_is_alone_until_the_commit(url: str) -> None:
    inside: list[str] = []

    def job(name: str) -> None:
        hold("name")
        inside.append(f"{name} in")
        threading.Event().wait(0.2)
        inside.append(f"{name} out")

    together(lambda: write(lambda: job("one")), lambda: write(lambda: job("two")))
    assert [step.split()[1] for step in inside] == ["in", "out", "in", "out"]


def test_an_exception_leaves_nothing_behind(url: str) -> None:
    def job() -> None:
        put("a")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write(job)
    assert names() == set()
    with pytest.raises(RuntimeError):
        write(lambda: write(lambda: None))
    write(lambda: put("b"))
    assert names() == {"b"}


def test_every_commit_is_synchronous_and_a_stopped_job_ends(url: str) -> None:
    assert row("SELECT current_setting('synchronous_commit')") == ("on",)
    databases.server().execute("ALTER ROLE mailferry SET synchronous_commit = off")
    try:
        database.close()
        assert row("SELECT current_setting('synchronous_commit')") == ("on",)
    finally:
        databases.server().execute("ALTER ROLE mailferry RESET synchronous_commit")
    assert row("SELECT current_setting('idle_in_transaction_session_timeout')") == ("5s",)


def test_a_job_that_stands_still_loses_its_locks_and_is_run_again(url: str) -> None:
    """As when its process is stopped in the midst of it."""
    write(lambda: put("a", "0"))
    held = threading.Event()
    runs: list[int] = []

    def stopped() -> None:
        rows(f"SELECT value FROM switches WHERE name = 'a' {FOR_UPDATE}")
        runs.append(1)
        held.set()
        if len(runs) == 1:
            threading.Event().wait(6)
        run("UPDATE switches SET value = value || 's' WHERE name = 'a'")

    def other() -> None:
        held.wait(10)
        write(lambda: run("UPDATE switches SET value = value || 'o' WHERE name = 'a'"))

    assert together(lambda: write(stopped), other) == [None, None]
    assert row("SELECT value FROM switches") == ("0os",)


def test_a_connection_that_the_server_dropped_is_opened_again(url: str) -> None:
    for act in (lambda: rows("SELECT name FROM switches"), lambda: write(lambda: put("a")), lambda: names()):
        assert row("SELECT 1") == (1,)
        databases.server().execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mailferry'"
        )
        act()
    assert names() == {"a"}


def test_a_server_that_is_away_is_told_and_taken_up_again(wire: Wire) -> None:
    write(lambda: put("before"))
    wire.cut()
    with pytest.raises(OperationalError):
        write(lambda: put("lost"))
    with pytest.raises(OperationalError) as caught:
        rows("SELECT 1")
    assert PASSWORD not in str(caught.value)
    wire.mend()
    write(lambda: put("after"))
    assert names() == {"before", "after"}


def test_the_fate_of_a_commit_whose_answer_was_lost_is_asked_for(wire: Wire) -> None:
    """The server commits, the wire breaks, and the job is not run a second time."""
    cuts: list[int] = []

    def cut_the_answer(data: bytes) -> None:
        if b"COMMIT" in data and not cuts:
            cuts.append(1)
            wire.cut()
            wire.mend()
            raise ConnectionError

    wire.before_answering = cut_the_answer
    runs: list[int] = []
    write(lambda: (runs.append(1), put("once")))
    assert len(cuts) == 1 and len(runs) == 1
    assert names() == {"once"}


def test_a_commit_that_never_reached_the_server_is_run_again(wire: Wire) -> None:
    cuts: list[int] = []

    def cut_before_commit(data: bytes) -> None:
        if b"COMMIT" in data and not cuts:
            cuts.append(1)
            wire.cut()
            wire.mend()
            raise ConnectionError

    wire.before_passing = cut_before_commit
    runs: list[int] = []
    write(lambda: (runs.append(1), put("once")))
    assert len(cuts) == 1 and len(runs) == 2
    assert names() == {"once"}


def test_a_commit_nobody_can_tell_of_is_in_doubt(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_before_commit(data: bytes) -> None:
        if b"COMMIT" in data:
            wire.cut()
            raise ConnectionError

    monkeypatch.setattr("models.session._IN_DOUBT_SECONDS", 0.5)
    wire.before_passing = cut_before_commit
    with pytest.raises(InDoubtError):
        write(lambda: put("who knows"))
    wire.before_passing = lambda data: None
    wire.mend()
    write(lambda: put("after"))
    assert names() == {"after"}


def test_a_transaction_number_says_nothing_after_a_crash_or_a_restart() -> None:
    from models.session import life_of

    def life(server: Server) -> str:
        with psycopg.connect(server.url("postgres"), autocommit=True) as asking:
            return life_of(asking)

    server = Server()
    try:
        with psycopg.connect(server.url("postgres"), autocommit=True) as victim:
            before = life_of(victim)
            assert life(server) == before
            import os

            os.kill(victim.info.backend_pid, signal.SIGKILL)
        server.wait_until_up()
        after_crash = life(server)
        assert after_crash != before
        server.stop()
        server.start()
        assert life(server) not in (before, after_crash)
    finally:
        server.destroy()


def test_a_nul_becomes_the_replacement_character(url: str) -> None:
    run("INSERT INTO switches (name, value, changed_at) VALUES (?, ?, 1)", "nul", "a\0b")
    run_many("UPDATE switches SET value = value || ? WHERE name = ?", [("\0", "nul")])
    assert row("SELECT value FROM switches WHERE name = ?", "nul") == ("a\ufffdb\ufffd",)


def test_literal_signs_and_empty_lists_mean_what_they_mean_to_sqlite(url: str) -> None:
    assert row("SELECT '100% ?', ?, 'it''s ?'", "x") == ("100% ?", "x", "it's ?")
    assert row("SELECT 7 % 4 = ?", 3) == (True,)
    assert rows("SELECT 1 WHERE 1 IN ()") == []
    assert rows("SELECT 1 WHERE 'a' NOT IN ()") == [(1,)]
    assert row("SELECT CASE WHEN ? IS NULL THEN 'none' ELSE 'some' END", None) == ("none",)


def test_a_listener_hears_others_and_itself_only_by_its_commits(url: str) -> None:
    commits = [0]
    one, other = Listener(url, lambda: commits[0]), Listener(url, lambda: 0)
    try:
        assert one.changed(0) and other.changed(0), "what was announced before may have been missed"
        one.announce()
        assert other.changed(2)
        assert not one.changed(0.1)
        commits[0] += 1
        assert one.changed(0.1)
        models.announce()
        assert one.changed(2) and other.changed(2)
    finally:
        one.close()
        other.close()


def test_a_listener_that_lost_its_connection_makes_another(wire: Wire, tmp_path: Path) -> None:
    listener = database.obj.watch()
    try:
        listener.changed(0)
        wire.cut()
        assert not listener.changed(0.1)
        assert not listener.changed(0.1)
        wire.mend()
        assert any(listener.changed(0.1) for _ in range(50)), "and takes it that it missed something"
        with psycopg.connect(str(databases.location(tmp_path)), autocommit=True) as other:
            other.execute("NOTIFY mailferry")
        assert listener.changed(2)
    finally:
        listener.close()


def test_a_process_goes_by_the_clock_of_the_server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        monkeypatch.setattr("utils.clock.time.time_ns", lambda: 0)
        assert abs(clock.now_ms() - database.obj.clock()) < 500
        clock.keep_to(None)
        assert clock.now_ms() == 0
        database.obj.clock()
        assert abs(clock.now_ms() - database.obj.clock()) < 500
    finally:
        clock.keep_to(None)


def test_where_it_is_is_told_without_the_password(url: str) -> None:
    told = database.obj.describe()
    assert told.startswith("postgresql://127.0.0.1:") and PASSWORD not in told
