"""The database and its one write path.

SQLite lets one transaction write at a time, and connections that poll for its lock starve each other. So every
write of a process goes through one connection, in turn, and processes queue up on a blocking flock before BEGIN.
Callers that arrive while a commit is under way are committed together by whoever is next (group commit): a
hundred concurrent accepts cost a few fsyncs, not a hundred.

Durability is chosen per write: `durable=True` returns only after an fsync (synchronous=FULL); otherwise the
commit survives a killed process, but a power cut may take back the last of them (synchronous=NORMAL).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import peewee
from peewee import DatabaseProxy, Model, SqliteDatabase
from pysqlite3 import dbapi2 as sqlite

from utils.filelock import SharedFileLock

T = TypeVar("T")

_PRAGMAS = {
    "journal_mode": "wal",
    "foreign_keys": 1,
    "synchronous": 1,
    "cache_size": -32_000,
    "temp_store": "memory",
    "wal_autocheckpoint": 4_000,
    "mmap_size": 0,  # an I/O error under mmap is a SIGBUS, which would take the daemon down
}
_BUSY_SECONDS = 60

_as_peewee_errors: Any = vars(peewee)["__exception_wrapper__"]

database = DatabaseProxy()


class Table(Model):
    """Base of all tables."""

    class Meta:
        database = database
        legacy_table_names = False


class _Job:
    """One caller's write, and what became of it."""

    __slots__ = ("durable", "error", "leads", "result", "turn", "work")

    def __init__(self, work: Callable[[], Any], durable: bool) -> None:
        self.work = work
        self.durable = durable
        self.result: Any = None
        self.error: BaseException | None = None
        self.leads = False
        self.turn = threading.Lock()
        self.turn.acquire()


class QueueDatabase(SqliteDatabase):
    """SQLite with readers per thread and one writer per process."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), pragmas=_PRAGMAS, timeout=_BUSY_SECONDS, lock_type="IMMEDIATE")
        self._path = path
        self._gate = threading.Lock()
        self._waiting: list[_Job] = []
        self._led = False
        self._writer: Any = None
        self._synchronous = ""
        self._between_processes = SharedFileLock(path.with_name(path.name + ".write-lock"))

    def write(self, work: Callable[[], T], *, durable: bool) -> T:
        """Run `work` in a write transaction and return its result once that is committed.

        `work` may use the models freely: its thread is on the write connection meanwhile. It may be another
        caller's thread, so it must not rely on thread-local state, and must not call `write` again. An exception
        rolls back that one caller's changes, no one else's, and is raised to it.
        """
        job = _Job(work, durable)
        with self._gate:
            self._waiting.append(job)
            job.leads, self._led = not self._led, True
        if not job.leads:
            job.turn.acquire()  # woken when done, or to lead the next group
        if job.leads:
            self._lead()
        if job.error is not None:
            raise job.error
        return cast(T, job.result)

    def _lead(self) -> None:
        with self._gate:
            group, self._waiting = self._waiting, []
        try:
            self._commit_together(group)
        finally:
            with self._gate:
                # Whoever came meanwhile is next; the first of them leads.
                successor = self._waiting[0] if self._waiting else None
                self._led = successor is not None
                if successor is not None:
                    successor.leads = True
            for job in group:
                if not job.leads:
                    job.turn.release()
            if successor is not None:
                successor.turn.release()

    def _commit_together(self, group: list[_Job]) -> None:
        try:
            self._between_processes.acquire()
            try:
                with self._on_writer() as writer:
                    self._begin(writer, durable=any(job.durable for job in group))
                    try:
                        self._run_jobs(writer, group)
                        with _as_peewee_errors:
                            writer.execute("COMMIT")
                    except BaseException:
                        if writer.in_transaction:
                            writer.execute("ROLLBACK")
                        raise
            finally:
                self._between_processes.release()
        except BaseException as exc:
            for job in group:
                job.error = job.error or exc

    def _run_jobs(self, writer: Any, group: list[_Job]) -> None:
        if len(group) == 1:
            group[0].result = group[0].work()
            return
        for job in group:
            writer.execute("SAVEPOINT job")
            try:
                job.result = job.work()
            except Exception as exc:
                job.error = exc
                writer.execute("ROLLBACK TO job")
            writer.execute("RELEASE job")

    def _begin(self, writer: Any, *, durable: bool) -> None:
        synchronous = "FULL" if durable else "NORMAL"
        if synchronous != self._synchronous:  # takes effect only between transactions
            writer.execute(f"PRAGMA synchronous={synchronous}")
            self._synchronous = synchronous
        with _as_peewee_errors:
            writer.execute("BEGIN IMMEDIATE")

    @contextmanager
    def _on_writer(self) -> Iterator[Any]:
        """Put this thread's Peewee state on the write connection."""
        if self._writer is None:
            self._writer = self._open_writer()
        state: Any = vars(self)["_state"]
        before = (state.conn, state.closed, state.ctx, state.transactions, state.commit_callbacks)
        state.set_connection(self._writer)
        try:
            yield self._writer
        finally:
            state.conn, state.closed, state.ctx, state.transactions, state.commit_callbacks = before

    def _open_writer(self) -> Any:
        writer = sqlite.connect(
            str(self._path),
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        vars(SqliteDatabase)["_add_conn_hooks"](self, writer)
        return writer

    def close_writer(self) -> None:
        """Close the write connection and its lock; the next write opens them again. For tests and shutdown."""
        with self._gate:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
                self._synchronous = ""


def write(work: Callable[[], T], *, durable: bool = False) -> T:
    """`QueueDatabase.write` of the bound database."""
    return cast(T, database.write(work, durable=durable))


def rows(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    """All rows of a statement, on this thread's connection."""
    return cast("list[tuple[Any, ...]]", database.execute_sql(sql, params).fetchall())


def row(sql: str, *params: Any) -> tuple[Any, ...] | None:
    return cast("tuple[Any, ...] | None", database.execute_sql(sql, params).fetchone())


def run(sql: str, *params: Any) -> int:
    """How many rows a statement changed."""
    return cast(int, database.execute_sql(sql, params).rowcount)


def run_many(sql: str, sets: list[tuple[Any, ...]]) -> None:
    if sets:
        database.connection().executemany(sql, sets)


def marks(count: int) -> str:
    """`?,?,?`: the parameters of an IN list."""
    return ",".join("?" * count)
