from __future__ import annotations

import multiprocessing
from pathlib import Path

import models
from models.database import database, rows
from models.migrate import migrate


def schema() -> dict[str, str]:
    """What SQLite says of every table and index but the migrations' own."""
    found = rows("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
    return {name: " ".join(sql.split()) for name, sql in found if "schema_migration" not in name}


def close() -> None:
    database.close_writer()
    database.close()


def test_the_migrations_add_up_to_the_models(tmp_path: Path) -> None:
    models.initialize_db(tmp_path / "migrated.db")
    migrated = schema()
    close()
    models.bind(tmp_path / "created.db")
    database.create_tables(models.TABLES)
    created = schema()
    close()
    assert migrated == created
    assert "emails" in migrated and "emails_queued" in migrated


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    models.initialize_db(path)
    before = schema()
    assert migrate(path) == []
    assert schema() == before
    close()


def test_the_database_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    models.initialize_db(path)
    close()
    assert path.stat().st_mode & 0o077 == 0


def undo_totals() -> None:
    """The tables as they were before this migration."""
    database.execute_sql("DROP TABLE totals")
    database.execute_sql("DELETE FROM schema_migrations WHERE name = '0003_totals'")


def test_a_copy_is_taken_before_a_later_migration(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    models.initialize_db(path)
    models.Switch.create(name="paused", value="on", changed_at=1)
    undo_totals()
    assert migrate(path) == ["0003_totals"]
    close()
    models.bind(tmp_path / "x.db.before-0003_totals")
    assert rows("SELECT name, value FROM switches") == [("paused", "on")]
    assert "totals" not in schema()
    close()


def start(path: str, results: multiprocessing.Queue[str]) -> None:
    try:
        models.initialize_db(Path(path))
        results.put("ok" if "emails" in schema() else "no tables")
    except Exception as exc:
        results.put(repr(exc))


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    together = [context.Process(target=start, args=(str(tmp_path / "x.db"), results)) for _ in range(4)]
    for one in together:
        one.start()
    outcomes = [results.get(timeout=60) for _ in together]
    for one in together:
        one.join()
    assert outcomes == ["ok"] * 4
