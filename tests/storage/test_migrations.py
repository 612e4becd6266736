from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
from playhouse.migrations import Runner

import models
from models import words
from models.database import database, row, rows, run
from models.migrate import FOLDER, migrate
from tests.support import database as databases
from tests.support.database import POSTGRESQL, postgresql_only, sqlite_only


def schema() -> dict[str, str]:
    """What the database says of every table and index but the migrations' own."""
    found = rows(POSTGRES_SCHEMA if POSTGRESQL else SQLITE_SCHEMA)
    return {name: " ".join(sql.split()) for name, sql in found if "schema_migration" not in name}


SQLITE_SCHEMA = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
POSTGRES_SCHEMA = """
    SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT table_name, string_agg(concat_ws(' ', column_name, data_type, is_nullable, column_default, is_identity), ', '
        ORDER BY ordinal_position)
    FROM information_schema.columns WHERE table_schema = 'public' GROUP BY table_name
"""


def empty(folder: Path, name: str = "x.db") -> Path | str:
    return databases.location(folder, name, migrated=False)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    databases.close()


def test_the_migrations_add_up_to_the_models(tmp_path: Path) -> None:
    models.initialize_db(empty(tmp_path, "migrated.db"))
    migrated = schema()
    databases.close()
    models.bind(empty(tmp_path, "created.db"))
    database.create_tables(models.TABLES)
    words.create(database.obj)
    created = schema()
    assert migrated == created
    assert "emails" in migrated and "emails_queued" in migrated


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    models.initialize_db(empty(tmp_path))
    before = schema()
    assert migrate() == []
    assert schema() == before


@sqlite_only
def test_the_database_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    models.initialize_db(path)
    databases.close()
    assert path.stat().st_mode & 0o077 == 0


LATER = ["0002_instances_on_several_machines", "0003_totals", "0004_inbound", "0006_templates"]


def undo_later() -> None:
    """The tables as they were before the second migration, with one instance."""
    Runner(database.obj, str(FOLDER), table_name="schema_migrations").down(LATER[1])
    for column in ("folder_id", "beaten_at", "ended_at"):
        database.execute_sql(f"ALTER TABLE instances DROP COLUMN {column}")
    run(
        "INSERT INTO instances (boot_id, lock_name, host, pid, started_at, beat) VALUES ('b', 'l', 'h', 1, 1, 1)"
    )
    database.execute_sql("DELETE FROM schema_migrations WHERE name > '0002'")


def test_later_migrations_keep_what_is_there(tmp_path: Path) -> None:
    models.initialize_db(empty(tmp_path))
    now = schema()
    undo_later()
    assert migrate() == LATER
    assert schema() == now
    assert row("SELECT host, folder_id, beaten_at, ended_at FROM instances") == ("h", None, None, None)


@sqlite_only
def test_a_copy_is_taken_before_a_later_migration(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    models.initialize_db(path)
    models.Switch.create(name="paused", value="on", changed_at=1)
    undo_later()
    assert migrate() == LATER
    databases.close()
    models.bind(tmp_path / "x.db.before-0002_instances_on_several_machines")
    assert rows("SELECT name, value FROM switches") == [("paused", "on")]
    assert "totals" not in schema()


def start(where: Path | str, results: multiprocessing.Queue[str]) -> None:
    try:
        models.initialize_db(where)
        results.put("ok" if "emails" in schema() else "no tables")
    except Exception as exc:
        results.put(repr(exc))


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    together = [context.Process(target=start, args=(empty(tmp_path), results)) for _ in range(4)]
    for one in together:
        one.start()
    outcomes = [results.get(timeout=60) for _ in together]
    for one in together:
        one.join()
    assert outcomes == ["ok"] * 4


@postgresql_only
def test_what_changes_with_every_email_is_swept_often(tmp_path: Path) -> None:
    models.initialize_db(empty(tmp_path))
    found = rows("SELECT relname FROM pg_class WHERE reloptions::text LIKE '%scale_factor=0.01%' ORDER BY 1")
    assert found == [("emails",), ("recipients",)]
