"""What SQLite does in its own way, where the rest of the code speaks to either database."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import peewee
from peewee import SqliteDatabase

from utils.clock import now_ms

_as_peewee_errors: Any = vars(peewee)["__exception_wrapper__"]


class SqliteDialect(SqliteDatabase):
    """The same names as in `models.postgres`."""

    shared = False  # by daemons on other machines

    @property
    def folder(self) -> Path:
        """Where the mail is stored, whose disk may fill up."""
        return Path(self.database).parent

    @property
    def _own(self) -> Any:
        """This thread's connection, opened when it is not yet."""
        me: Any = self
        return me.connection()

    def describe(self) -> str:
        return str(self.database)

    def run_sql(self, sql: str, params: tuple[Any, ...]) -> Any:
        """A cursor over a statement with `?` for its parameters, on this thread's connection.

        Straight at the driver: Peewee's own way costs as much as the statement.
        """
        with _as_peewee_errors:
            return (vars(self)["_state"].conn or self._own).execute(sql, params)

    def run_many_sql(self, sql: str, sets: list[tuple[Any, ...]]) -> None:
        self._own.executemany(sql, sets)

    def hold(self, name: str) -> None:
        """Nothing to do: whoever writes is alone."""

    def defer_sync(self) -> None:
        """Nothing to do: `durable` decides. Claims are durable, for after a power cut they tell what is in doubt."""

    def clock(self) -> int:
        return now_ms()

    def ever(self, table: str) -> int:
        """Rows ever inserted: AUTOINCREMENT remembers its last id when the rows are gone."""
        found = self.run_sql("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        return int(found[0]) if found else 0

    def sizes(self) -> dict[str, int]:
        """Bytes, by part."""
        path = Path(self.database)
        files = {"database": path, "wal": path.with_name(path.name + "-wal")}
        return {name: file.stat().st_size if file.exists() else 0 for name, file in files.items()}

    def new_ids(self, table: str, count: int) -> list[int]:
        last = self.ever(table)
        return list(range(last + 1, last + 1 + count))

    def watch(self) -> DataVersion:
        return DataVersion(self)

    def announce(self) -> None:
        """Nothing to do: a commit is seen by itself."""


class DataVersion:
    """Notices, by a glance, that another connection has committed. For one thread."""

    def __init__(self, database: SqliteDialect) -> None:
        self._database = database
        self._version = 0

    def changed(self, seconds: float) -> bool:
        """Whether anything was committed since the last glance; looks after `seconds`."""
        threading.Event().wait(seconds)
        before = self._version
        self._version = int(self._database.run_sql("PRAGMA data_version", ()).fetchone()[0])
        return self._version != before

    def announce(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""
