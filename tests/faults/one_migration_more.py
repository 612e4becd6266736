"""What a new version might change: a table, an index and a column."""

from __future__ import annotations

from typing import Any


def up(migrator: Any, db: Any) -> None:
    db.execute_sql("CREATE TABLE more (id INTEGER PRIMARY KEY, name TEXT)")
    db.execute_sql("CREATE INDEX more_name ON more (name)")
    db.execute_sql("ALTER TABLE emails ADD COLUMN extra TEXT DEFAULT 'none'")
