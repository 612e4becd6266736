"""The relay under measurement: the real daemon with its defaults, but for what is named here and in the report."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from pysqlite3 import dbapi2 as sqlite

from benchmarks.sink import Sink
from config import Settings
from tests.support.daemon import Daemon

CONNECTIONS = 10
MESSAGES_PER_CONNECTION = 1_000
SHOWN = ("web_concurrency", "web_threads", "queue_workers")


def defaults() -> dict[str, str]:
    """The product's: the tests' daemon has some of its own."""
    return {one.name: one.metadata["default"] for one in fields(Settings) if one.name in SHOWN}


def about_daemon() -> str:
    """What a figure depends on, for the report."""
    named = ", ".join(f"{name.upper()}={value}" for name, value in defaults().items())
    return (
        f"The daemon has its defaults ({named}), but for SANDBOX=off and what is named; its SMTP config has"
        f" max_connections={CONNECTIONS} and max_messages_per_connection={MESSAGES_PER_CONNECTION:,}"
    )


@contextmanager
def relay(
    folder: Path, sink: Sink | None, *, connections: int = CONNECTIONS, **settings: Any
) -> Iterator[Daemon]:
    """A daemon on a database of its own, which delivers to `sink`."""
    home = Path(mkdtemp(dir=folder))
    with Daemon(home, **{"min_free_mb": 200, **defaults(), **settings}) as daemon:
        if sink is not None:
            add_config(daemon, sink.port, connections)
        yield daemon
    shutil.rmtree(home)


def add_config(daemon: Daemon, port: int, connections: int = CONNECTIONS) -> int:
    return daemon.add_config(
        port, max_connections=connections, max_messages_per_connection=MESSAGES_PER_CONNECTION
    )


def one(daemon: Daemon, sql: str) -> Any:
    """The first value that a statement finds in the daemon's database."""
    path = daemon.folder / "data" / "mailferry.db"
    with closing(sqlite.connect(str(path), timeout=30)) as connection:
        return connection.execute(sql).fetchone()[0]


def accepted(daemon: Daemon) -> int:
    return int(one(daemon, "SELECT count(*) FROM emails"))


def first_accepted(daemon: Daemon) -> float:
    """When, as time.time()."""
    return float(one(daemon, "SELECT min(created_at) FROM emails")) / 1000


def check_all_sent(daemon: Daemon, sink: Sink) -> None:
    """A pace counts only if every email arrived, once."""
    number = accepted(daemon)
    if sink.count() != number:
        raise RuntimeError(f"{number} emails were accepted, {sink.count()} arrived")
