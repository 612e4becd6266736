"""The relay under measurement: the real daemon with its defaults, but for what is named here and in the report."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from pysqlite3 import dbapi2 as sqlite

from benchmarks.sink import Sink
from tests.support.daemon import Daemon

CONNECTIONS = 10
MESSAGES_PER_CONNECTION = 1_000
DIFFERENCES = (
    f"the product's defaults, but: SANDBOX=off, an SMTP config with max_connections={CONNECTIONS} and"
    f" max_messages_per_connection={MESSAGES_PER_CONNECTION:,}"
)


@contextmanager
def relay(
    folder: Path, sink: Sink | None, *, connections: int = CONNECTIONS, **settings: Any
) -> Iterator[Daemon]:
    """A daemon on a database of its own, which delivers to `sink`."""
    home = Path(mkdtemp(dir=folder))
    with Daemon(home, **{"min_free_mb": 200, **settings}) as daemon:
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
    with_ = sqlite.connect(str(daemon.folder / "data" / "mailferry.db"), timeout=30)
    try:
        return with_.execute(sql).fetchone()[0]
    finally:
        with_.close()


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
