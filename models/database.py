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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, cast

import peewee
from peewee import DatabaseProxy, Model, SqliteDatabase
from pysqlite3 import dbapi2 as sqlite

from models.sqlite import SqliteDialect
from utils import hub
from utils.filelock import SharedFileLock

Item = TypeVar("Item")
T = TypeVar("T")

# Of pages, for each connection. The threads that read are many, and the kernel keeps the same pages for all of them.
READER_KILOBYTES = 4_000
WRITER_KILOBYTES = 32_000

_PRAGMAS = {
    "journal_mode": "wal",
    "foreign_keys": 1,
    "synchronous": 1,
    "cache_size": -READER_KILOBYTES,
    "temp_store": "memory",
    "wal_autocheckpoint": 4_000,
    "mmap_size": 0,  # an I/O error under mmap is a SIGBUS, which would take the daemon down
}
_BUSY_SECONDS = 60
_MOST_ROWS = 128  # of one statement: larger ones are not faster, and each length is a statement of its own

_as_peewee_errors: Any = vars(peewee)["__exception_wrapper__"]

database = DatabaseProxy()


class Table(Model):
    """Base of all tables."""

    class Meta:
        database = database
        legacy_table_names = False


Bulk = Callable[[list[Item]], Sequence[T | Exception]]


class _Job:
    """One caller's write, and what became of it. With a `bulk` it may be done together with its like."""

    __slots__ = ("awaited", "bulk", "durable", "error", "item", "leads", "result", "turn")

    def __init__(self, item: Any, durable: bool, bulk: Bulk[Any, Any] | None = None) -> None:
        self.item = item  # what `bulk` takes; without one, what to call
        self.bulk = bulk
        self.durable = durable
        self.result: Any = None
        self.error: BaseException | None = None
        self.leads = False
        self.awaited = False  # its thread waits for it, and so for all that it brought along
        self.turn = threading.Lock()
        self.turn.acquire()


class QueueDatabase(SqliteDialect):
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
        return cast(T, self._commit(_Job(work, durable)))

    def write_together(self, bulk: Bulk[Item, T], item: Item, *, durable: bool) -> T:
        """The same for work that is cheaper for many at once: `bulk` gets the items of all callers that wait with it.

        It returns a result for each, in order, or an exception to raise to that caller, for whom it must have changed
        nothing. When it raises itself, it is called again for each item alone.
        """
        return cast(T, self._commit(_Job(item, durable, bulk)))

    def _commit(self, job: _Job) -> Any:
        here = hub.current()
        if here is not None:
            here.gather(self._commit_all, job)
        else:
            self._commit_all([job])
        if job.error is not None:
            raise job.error
        return job.result

    def _commit_all(self, jobs: list[_Job]) -> list[_Job]:
        """The jobs of one thread; they are done in one group."""
        last = jobs[-1]
        last.awaited = True
        with self._gate:
            self._waiting += jobs
            last.leads, self._led = not self._led, True
        if not last.leads:
            last.turn.acquire()  # woken when done, or to lead the next group
        if last.leads:
            self._lead()
        return jobs

    def _lead(self) -> None:
        with self._gate:
            group, self._waiting = self._waiting, []
        try:
            self._commit_together(group)
        finally:
            with self._gate:
                # Whoever came meanwhile is next; the last of the first thread's jobs leads.
                successor = next((job for job in self._waiting if job.awaited), None)
                self._led = successor is not None
                if successor is not None:
                    successor.leads = True
            for job in group:
                if job.awaited and not job.leads:
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
            _do(group)
            return
        for unit in _units(group):
            if not self._try(writer, unit) and len(unit) > 1:
                for job in unit:
                    self._try(writer, [job])

    def _try(self, writer: Any, unit: list[_Job]) -> bool:
        writer.execute("SAVEPOINT unit")
        try:
            _do(unit)
            return True
        except Exception as exc:
            unit[0].error = exc
            writer.execute("ROLLBACK TO unit")
            return False
        finally:
            writer.execute("RELEASE unit")

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
        writer.execute(f"PRAGMA cache_size = -{WRITER_KILOBYTES}")
        return writer

    def close_writer(self) -> None:
        """Close the write connection and its lock; the next write opens them again. For tests and shutdown."""
        with self._gate:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
                self._synchronous = ""


def _units(group: list[_Job]) -> list[list[_Job]]:
    """Jobs that are done in one call each: alone, or all that share a `bulk`."""
    units: list[list[_Job]] = []
    shared: dict[Any, list[_Job]] = {}
    for job in group:
        unit = shared.get(job.bulk) if job.bulk else None
        if unit is not None:
            unit.append(job)
            continue
        units.append([job])
        if job.bulk:
            shared[job.bulk] = units[-1]
    return units


def _do(unit: list[_Job]) -> None:
    bulk = unit[0].bulk
    if bulk is None:
        unit[0].result = unit[0].item()
        return
    for job, result in zip(unit, bulk([job.item for job in unit]), strict=True):
        job.error, job.result = (result, None) if isinstance(result, Exception) else (None, result)


def write(work: Callable[[], T], *, durable: bool = False) -> T:
    """`QueueDatabase.write`, or `PostgresQueue.write`, of the bound database."""
    return cast(T, database.obj.write(work, durable=durable))


def write_together(bulk: Bulk[Item, T], item: Item, *, durable: bool = False) -> T:
    """`QueueDatabase.write_together` of the bound database."""
    return cast(T, database.obj.write_together(bulk, item, durable=durable))


def rows(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    """All rows of a statement, on this thread's connection."""
    return cast("list[tuple[Any, ...]]", database.obj.run_sql(sql, params).fetchall())


def row(sql: str, *params: Any) -> tuple[Any, ...] | None:
    return cast("tuple[Any, ...] | None", database.obj.run_sql(sql, params).fetchone())


def run(sql: str, *params: Any) -> int:
    """How many rows a statement changed."""
    return cast(int, database.obj.run_sql(sql, params).rowcount)


def run_many(sql: str, sets: list[tuple[Any, ...]]) -> None:
    if sets:
        database.obj.run_many_sql(sql, sets)


def run_values(sql: str, sets: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """One statement for many rows: `{}` in it becomes the rows of a VALUES list. What it RETURNs, in no order."""
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(sets), _MOST_ROWS):
        some = sets[start : start + _MOST_ROWS]
        group = f"({marks(len(some[0]))})"
        found += rows(sql.format(",".join([group] * len(some))), *chain.from_iterable(some))
    return found


# What a write job reads and then decides upon. On SQLite, whoever writes is alone: there it is a comment.
FOR_UPDATE = "/*pg FOR UPDATE*/"
SKIP_LOCKED = "/*pg FOR UPDATE SKIP LOCKED*/"
NO_KEY_UPDATE = "/*pg FOR NO KEY UPDATE*/"  # leaves the next one free
FOR_KEY_SHARE = "/*pg FOR KEY SHARE*/"  # it must stay, but may change


def hold(name: str) -> None:
    """Until the end of this write job, let nobody else hold the same name. On SQLite, whoever writes is alone."""
    database.obj.hold(name)


def new_ids(table: str, count: int) -> list[int]:
    """Ids for rows to be inserted, none of which was ever used. Inside a write job."""
    return cast("list[int]", database.obj.new_ids(table, count))


def marks(count: int) -> str:
    """`?,?,?`: the parameters of an IN list."""
    return ",".join("?" * count)
