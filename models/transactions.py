"""Writing to PostgreSQL, which several daemons may share: a transaction per job, run again when it was in the way.

Every commit is synchronous there, `durable` or not (but for claims, see `defer_sync`): a server that crashed and had
lost a dot which was committed asynchronously would send that email twice, and nobody would know.

Write jobs run at the same time, under READ COMMITTED. What they must not do at once they keep apart by locks, always
in this order: `hold`, the config, its health, its usage, the instance, emails. A job whose transaction was rolled
back, by a deadlock all the same or by a lost connection, is run again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import peewee
import psycopg
from psycopg.pq import TransactionStatus

from models.errors import InDoubtError
from models.session import Sessions, as_peewee_errors
from utils import hub

T = TypeVar("T")
Bulk = Callable[[list[Any]], Sequence[Any]]

_RETRIES = 10
_PASSING = ("40001", "40P01")  # serialization_failure, deadlock_detected
_TAKEN = "23505"  # unique_violation: another job came first, which the next run finds


class _LostError(Exception):
    """The connection broke, and the server has rolled back."""


class Transactions(Sessions):
    """The writing half of `models.postgres.PostgresQueue`."""

    def __init__(self, url: str) -> None:
        self._gathering: dict[Bulk, Callable[[list[Any]], Sequence[Any]]] = {}
        self.commits = 0  # to be noticed; that threads may miss one another's does no harm
        super().__init__(url)

    def write(self, work: Callable[[], T], *, durable: bool) -> T:
        """Run `work` in a transaction and return its result once that is committed.

        `work` may be run again, since what it did before is undone then. It must not call `write` again.
        """
        for left in reversed(range(_RETRIES)):
            try:
                return self._transaction(work)
            except (peewee.DatabaseError, _LostError) as exc:
                if not left or not _is_passing(exc, left):
                    raise exc.__cause__ if isinstance(exc, _LostError) and exc.__cause__ else exc from None
            time.sleep(random.uniform(0, 0.02) * (_RETRIES - left))
        raise AssertionError("the last run has returned or raised")

    def write_together(self, bulk: Bulk, item: Any, *, durable: bool) -> Any:
        """The same for work that is cheaper for many at once: the dialogs of one thread share a transaction."""
        here = hub.current()
        if here is None:
            result, error = self._write_all(bulk, [item])[0]
        else:
            gathering = self._gathering.setdefault(bulk, partial(self._write_all, bulk))
            result, error = here.gather(gathering, item)
        if error is not None:
            raise error
        return result

    def _write_all(self, bulk: Bulk, items: list[Any]) -> list[tuple[Any, Exception | None]]:
        """A result or an error for each. Whoever spoils it for the others fails alone."""
        try:
            results = self.write(lambda: bulk(items), durable=True)
        except Exception as exc:
            if len(items) == 1 or isinstance(exc, peewee.OperationalError | peewee.InterfaceError):
                return [(None, exc)] * len(items)
            return [self._write_all(bulk, [item])[0] for item in items]
        return [(None, one) if isinstance(one, Exception) else (one, None) for one in results]

    def _transaction(self, work: Callable[[], T]) -> T:
        try:
            with self._as_writer():
                number = self._begin()
                result = work()
                self._commit(number)
            self.commits += 1
            return result
        except BaseException as exc:
            lost = self.is_lost()
            self._roll_back()
            if lost and isinstance(exc, peewee.DatabaseError) and not isinstance(exc, InDoubtError):
                raise _LostError from exc
            raise

    @contextmanager
    def _as_writer(self) -> Iterator[None]:
        if self.writing:
            raise RuntimeError("a write job must not write by itself")
        self._local.writing = True
        try:
            yield
        finally:
            self._local.writing = False

    def _begin(self) -> str:
        """The transaction's number, by which its fate can be asked for."""
        with as_peewee_errors:
            cursor = self.own.cursor()
            cursor.execute("BEGIN; SELECT pg_current_xact_id()::text")
            cursor.nextset()
            return str(cursor.fetchone()[0])

    def _commit(self, number: str) -> None:
        connection = self.own
        if connection.info.transaction_status is not TransactionStatus.INTRANS:
            raise peewee.InternalError("the transaction has failed before its commit")
        life = self.life_of_server
        try:
            with as_peewee_errors:
                connection.execute("COMMIT")
        except peewee.DatabaseError as exc:
            if not self.is_lost():
                raise
            self.drop()
            if not self.was_committed(number, life):
                raise _LostError from exc

    def _roll_back(self) -> None:
        if vars(self)["_state"].conn is None:
            return
        if self.is_lost():
            self.drop()
            return
        try:
            self.own.execute("ROLLBACK")
        except psycopg.Error:
            self.drop()

    def close_writer(self) -> None:
        """Nothing to do: each thread writes on its own connection."""


def _is_passing(exc: Exception, left: int) -> bool:
    """Whether the same job may well succeed when it is run again."""
    if isinstance(exc, _LostError):
        return left >= _RETRIES - 2  # a server that is back takes it; one that is gone must not be waited for
    state = getattr(getattr(exc, "orig", None), "sqlstate", None)
    return state in _PASSING or (state == _TAKEN and left == _RETRIES - 1)
