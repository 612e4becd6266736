"""A connection to PostgreSQL per thread: opened when it is needed, dropped when the server has gone, opened again."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

import peewee
import psycopg
from peewee import PostgresqlDatabase
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from models.errors import InDoubtError
from models.translation import for_postgres, without_nul
from utils.clock import monotonic

# The URL may say otherwise. A peer that is cut off must be noticed within seconds, by either side: a process that was
# stopped in the midst of a job holds its locks until the server ends its session.
_DEFAULTS = {
    "application_name": "mailferry",
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_SETUP = (
    "SET idle_in_transaction_session_timeout = '5s';"
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)
_IN_DOUBT_SECONDS = 5.0

as_peewee_errors: Any = vars(peewee)["__exception_wrapper__"]


class _Cursor(psycopg.ClientCursor[Any]):
    """Values go into the statement on our side: the server could not always tell the type of one that is NULL."""

    def fetchall(self) -> list[Any]:
        """Like SQLite's: no rows of a statement that has none to give."""
        return super().fetchall() if self.description else []


class _WholeNumber(Loader):
    """Sums of bigint come as numeric; none of ours has a fraction."""

    def load(self, data: Any) -> int:
        return int(bytes(data))


class Sessions(PostgresqlDatabase):
    """Connects, and runs statements. `life_of_server` is that of this thread's connection."""

    def __init__(self, url: str) -> None:
        self.url = make_conninfo("", **_DEFAULTS | cast("dict[str, str]", conninfo_to_dict(url)))
        self._local = threading.local()
        super().__init__(str(conninfo_to_dict(url).get("dbname") or "mailferry"), prefer_psycopg3=True)

    def describe(self) -> str:
        """Where it is, without the password."""
        parts = conninfo_to_dict(self.url)
        host = parts.get("host") or parts.get("hostaddr") or "localhost"
        return f"postgresql://{host}:{parts.get('port') or 5432}/{parts.get('dbname') or ''}"

    def _connect(self) -> Any:
        connection = psycopg.connect(self.url, autocommit=True, cursor_factory=_Cursor)
        connection.adapters.register_loader("numeric", _WholeNumber)
        connection.execute(_SETUP)
        self._local.life = life_of(connection)
        return connection

    @property
    def own(self) -> Any:
        """This thread's connection, opened when it is not yet."""
        me: Any = self
        return me.connection()

    @property
    def life_of_server(self) -> str:
        return str(self._local.life)

    @property
    def writing(self) -> bool:
        """Whether this thread is in the midst of a write job."""
        return bool(getattr(self._local, "writing", False))

    def run_sql(self, sql: str, params: tuple[Any, ...]) -> Any:
        """A cursor over a statement with `?` for its parameters."""
        return self.execute_sql(for_postgres(sql), params)

    def run_many_sql(self, sql: str, sets: list[tuple[Any, ...]]) -> None:
        """All of them in one round trip."""
        translated = for_postgres(sql)
        with as_peewee_errors:
            cursor = self.own.cursor()
            cursor.execute(";".join(cursor.mogrify(translated, without_nul(one)) for one in sets))

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """A statement by itself is repeated when the server had dropped the connection, as it does at a restart."""
        params = without_nul(params or ())
        try:
            return self._execute(sql, params)
        except peewee.DatabaseError:
            if not self.is_lost() or self.writing:
                raise
            self.drop()
            return self._execute(sql, params)

    def _execute(self, sql: str, params: Any) -> Any:
        with as_peewee_errors:
            return self.own.execute(sql, params)

    def was_committed(self, number: str, life: str) -> bool:
        """The server took the commit, or not: its answer was lost. InDoubtError when that cannot be told."""
        end = monotonic() + _IN_DOUBT_SECONDS
        while monotonic() < end:
            try:
                with psycopg.connect(self.url, autocommit=True) as asking:
                    if life_of(asking) != life:
                        break  # it crashed or was restarted: a number may have been given again
                    found = asking.execute("SELECT pg_xact_status(%s::xid8)", [number]).fetchone()
            except psycopg.Error:
                found = None
            if found and found[0] in ("committed", "aborted"):
                return bool(found[0] == "committed")
            time.sleep(0.1)
        raise InDoubtError("the connection broke at a commit: what was written may be there or not")

    def is_lost(self) -> bool:
        connection = vars(self)["_state"].conn
        return connection is not None and bool(connection.closed)

    def drop(self) -> None:
        """Let go of this thread's connection; the next statement opens another."""
        state: Any = vars(self)["_state"]
        if state.conn is not None:
            state.conn.close()
        state.reset()


def life_of(connection: psycopg.Connection[Any]) -> str:
    """Changes when the server is started, and when it recovers from a crash (which resets its statistics)."""
    found = connection.execute(
        "SELECT concat(pg_postmaster_start_time(), (SELECT stats_reset FROM pg_stat_bgwriter))"
    ).fetchone()
    return str(found[0]) if found else ""
