"""Which database the tests run on: SQLite, or with MAILFERRY_TEST_DATABASE=postgresql a PostgreSQL of their own.

A test names a folder and asks here for the database in it; on PostgreSQL that is one made for the folder.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import models
from models.database import database

if TYPE_CHECKING:
    from tests.support.postgres import Server

POSTGRESQL = os.environ.get("MAILFERRY_TEST_DATABASE", "sqlite") == "postgresql"
TEMPLATE = "template_migrated"

sqlite_only = pytest.mark.skipif(POSTGRESQL, reason="about SQLite's files")
postgresql_only = pytest.mark.skipif(
    not POSTGRESQL, reason="needs PostgreSQL: MAILFERRY_TEST_DATABASE=postgresql"
)

_made: set[str] = set()


@cache
def server() -> Server:
    """One per process of pytest."""
    from tests.support.postgres import Server

    started = Server()
    started.execute(f"CREATE DATABASE {TEMPLATE}")
    before = database.obj
    models.initialize_db(started.url(TEMPLATE))
    database.close()
    database.initialize(before)
    return started


def location(folder: Path, name: str = "mailferry.db", *, migrated: bool = True) -> Path | str:
    """Where the database of a folder is; it need not be there yet, on PostgreSQL it is made."""
    if not POSTGRESQL:
        return folder / name
    made = "t_" + hashlib.sha256(f"{folder.resolve()}/{name}".encode()).hexdigest()[:20]
    if made not in _made:
        _made.add(made)
        template = TEMPLATE if migrated else "template0"
        server().execute(f"CREATE DATABASE {made} TEMPLATE {template} STRATEGY FILE_COPY")
    return server().url(made)


def settings(folder: Path, name: str = "mailferry.db") -> dict[str, str]:
    """What a daemon's environment must say to use it."""
    return {"DATABASE_URL": str(location(folder, name))} if POSTGRESQL else {}


def close() -> None:
    """Of the bound database, what this thread and the process hold open."""
    if database.obj is not None:
        database.obj.close_writer()
        database.obj.close()


def query(
    folder: Path, sql: str, name: str = "mailferry.db", url: str | None = None
) -> list[tuple[Any, ...]]:
    """From outside, on a connection of its own."""
    if POSTGRESQL or url:
        import psycopg

        with psycopg.connect(url or str(location(folder, name)), autocommit=True) as asking:
            cursor = asking.execute(sql)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []
    from pysqlite3 import dbapi2 as sqlite

    connection = sqlite.connect(str(folder / name), timeout=30)
    try:
        with connection:
            return list(connection.execute(sql))
    finally:
        connection.close()


def drop_all() -> None:
    """After each test, for disk's sake; not those that a test of a larger scope still has."""
    while _made:
        server().execute(f"DROP DATABASE IF EXISTS {_made.pop()} WITH (FORCE)")
