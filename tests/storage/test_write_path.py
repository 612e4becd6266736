from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from peewee import IntegrityError

import models
from models.database import database, row, rows, run, write
from models.service import Switch


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
