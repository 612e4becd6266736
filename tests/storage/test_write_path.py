from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from peewee import IntegrityError

import models
from models.database import database, row, rows, run, run_values, write, write_together
from models.service import Switch
from tests.support.relay import wait_for


@pytest.fixture(autouse=True)
def _db(tmp_path: Path) -> Iterator[None]:
    models.initialize_db(tmp_path / "x.db")
    yield
    database.close_writer()
    database.close()


def put(name: str) -> int:
    return int(Switch.create(name=name, value="1", changed_at=1) is not None)


def names() -> set[str]:
    return {name for (name,) in rows("SELECT name FROM switches")}


def in_threads(count: int, work: object) -> None:
    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]  # type: ignore[arg-type]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
        assert not one.is_alive()


def test_a_write_returns_its_result_and_is_seen_by_other_connections() -> None:
    assert write(lambda: put("a")) == 1
    seen: list[set[str]] = []
    in_threads(1, lambda _: (seen.append(names()), database.close()))
    assert seen == [{"a"}]


def test_a_failed_write_leaves_nothing_behind_and_raises_to_its_caller() -> None:
    def job() -> None:
        put("a")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write(job)
    assert names() == set()
    write(lambda: put("b"))
    assert names() == {"b"}


def test_callers_that_arrive_during_a_commit_are_committed_together_and_fail_alone() -> None:
    write(lambda: put("taken"))
    entered, release = threading.Event(), threading.Event()
    commits: list[int] = []

    def slow() -> None:
        entered.set()
        release.wait(10)

    def transaction_number() -> int:
        found = row("SELECT count(*) FROM switches")
        assert found is not None
        return threading.get_ident()

    errors: list[BaseException] = []

    def caller(n: int) -> None:
        if n == 0:
            write(slow)
            return
        entered.wait(10)
        try:
            write(
                lambda: (put("taken" if n == 5 else f"n{n}"), commits.append(transaction_number())),
                durable=True,
            )
        except IntegrityError as exc:
            errors.append(exc)
        finally:
            database.close()

    threads = [threading.Thread(target=caller, args=(n,)) for n in range(10)]
    for one in threads:
        one.start()
    entered.wait(10)
    while len(database._waiting) < 9:
        pass
    release.set()
    for one in threads:
        one.join(30)
    assert names() == {"taken"} | {f"n{n}" for n in range(1, 10) if n != 5}
    assert len(errors) == 1
    assert len(set(commits)) == 1, "one leader committed for all"


def test_no_write_is_lost_under_many_threads() -> None:
    def work(n: int) -> None:
        for i in range(50):
            write(lambda i=i: put(f"{n}-{i}"), durable=bool(i % 2))  # type: ignore[misc]
        database.close()

    in_threads(8, work)
    assert len(names()) == 400


def test_durable_writes_are_synced_and_others_are_not() -> None:
    def level() -> int:
        found = row("PRAGMA synchronous")
        assert found is not None
        return int(found[0])

    assert write(level, durable=True) == 2  # FULL
    assert write(level, durable=False) == 1  # NORMAL


def test_a_commit_that_fails_fails_all_of_its_callers_and_the_path_recovers() -> None:
    def deferred_breach() -> None:
        run("PRAGMA defer_foreign_keys = on")
        run(
            "CREATE TABLE IF NOT EXISTS child (id INTEGER REFERENCES switches(name) DEFERRABLE INITIALLY DEFERRED)"
        )
        run("INSERT INTO child VALUES ('nobody')")

    with pytest.raises(IntegrityError):
        write(deferred_breach)
    assert write(lambda: put("after")) == 1


def test_callers_of_one_bulk_are_done_in_one_call() -> None:
    calls: list[list[int]] = []
    first, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        first.set()
        go_on.wait(10)

    def bulk(items: list[int]) -> list[int | Exception]:
        calls.append(items)
        return [ValueError("odd") if item % 2 else item * 10 for item in items]

    results: dict[int, object] = {}

    def call(item: int) -> None:
        try:
            results[item] = write_together(bulk, item)
        except ValueError as exc:
            results[item] = str(exc)

    threads = [threading.Thread(target=write, args=(hold,))]
    threads[0].start()
    first.wait(10)
    for item in range(4):
        threads.append(threading.Thread(target=call, args=(item,)))
        threads[-1].start()
    wait_for(lambda: len(database.obj._waiting) == 4)
    go_on.set()
    for one in threads:
        one.join()

    assert [sorted(items) for items in calls] == [[0, 1, 2, 3]]
    assert results == {0: 0, 1: "odd", 2: 20, 3: "odd"}


def test_a_bulk_that_raises_is_called_for_each_alone() -> None:
    write(lambda: run("CREATE TABLE notes (item INTEGER UNIQUE)"))
    first, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        first.set()
        go_on.wait(10)

    def bulk(items: list[int]) -> list[int | Exception]:
        for item in items:
            run("INSERT INTO notes (item) VALUES (?)", item)
        return list(items)

    failed: list[int] = []

    def call(item: int) -> None:
        try:
            write_together(bulk, item)
        except IntegrityError:
            failed.append(item)

    threads = [threading.Thread(target=write, args=(hold,))]
    threads[0].start()
    first.wait(10)
    for item in (7, 8, 7):
        threads.append(threading.Thread(target=call, args=(item,)))
        threads[-1].start()
    wait_for(lambda: len(database.obj._waiting) == 3)
    go_on.set()
    for one in threads:
        one.join()

    assert failed == [7]
    assert sorted(rows("SELECT item FROM notes")) == [(7,), (8,)]


def test_many_rows_go_in_one_statement() -> None:
    write(lambda: run("CREATE TABLE notes (item INTEGER, word TEXT)"))
    sets = [(number, f"word {number}") for number in range(300)]

    found = write(lambda: run_values("INSERT INTO notes (item, word) VALUES {} RETURNING item", sets))

    assert sorted(found) == [(number,) for number in range(300)]
    assert rows("SELECT count(*), min(word), max(item) FROM notes") == [(300, "word 0", 299)]
    assert run_values("INSERT INTO notes (item, word) VALUES {}", []) == []


def test_only_the_writer_keeps_many_pages() -> None:
    """32 MB for each thread that reads would add up: housekeeping alone made the daemon grow by that much."""
    assert row("PRAGMA cache_size") == (-4_000,)
    assert write(lambda: row("PRAGMA cache_size")) == (-32_000,)
