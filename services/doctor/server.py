"""The PostgreSQL server that holds the queue: whether it answers, what it is, whether it keeps what it says it has."""

from __future__ import annotations

from collections.abc import Iterator

from peewee import DatabaseError

from models.database import database, row
from services.doctor.check import Check, fail, ok, warn
from utils.clock import SECOND

_OLDEST = 130_000  # as server_version_num
_CLOCK_SLACK_MS = 2 * SECOND
_KEEPS = (
    "fsync",
    "full_page_writes",
)  # without these a crash of the machine may damage or lose what was committed


def check(now: int) -> Iterator[Check]:
    """The first one fails when nothing more can be asked."""
    where = database.obj.describe()
    try:
        version, number = _ask(
            "SELECT current_setting('server_version'), current_setting('server_version_num')::int"
        )
    except DatabaseError as exc:
        told = str(exc).partition("\n")[0]
        advice = (
            "check DATABASE_URL, that the server runs, and that pg_hba.conf lets this machine and user in"
        )
        yield fail("database", f"{where} cannot be reached: {told}", advice)
        return
    if number < _OLDEST:
        yield fail("database", f"{where} is PostgreSQL {version}", "use PostgreSQL 13 or newer")
        return
    yield ok("database", f"{where} answers: PostgreSQL {version}")
    yield _durability()
    yield _connections()
    yield _clock(now)


def _ask(sql: str) -> tuple[str, int]:
    found = row(sql)
    assert found is not None
    return found[0], found[1]


def _durability() -> Check:
    off = [name for name in _KEEPS if row(f"SELECT current_setting('{name}')") == ("off",)]
    if off:
        detail = f"{' and '.join(off)} is off: a power cut may lose mail that was accepted"
        return warn(
            "durability", detail, f"set {', '.join(f'{name} = on' for name in off)} in postgresql.conf"
        )
    return ok("durability", "every commit is synchronous")


def _connections() -> Check:
    most, used = _ask(
        "SELECT current_setting('max_connections')::int, (SELECT count(*) FROM pg_stat_activity)"
    )
    detail = f"{used} of {most} in use"
    if used > int(most) * 0.8:
        return warn("connections", detail, "raise max_connections: each thread of each daemon holds one")
    return ok("connections", detail)


def _clock(now: int) -> Check:
    """Ours decides nothing where the server's does, but logs and tokens go by it."""
    apart = now - database.obj.clock()
    if abs(apart) > _CLOCK_SLACK_MS:
        detail = (
            f"this machine's clock is {apart / 1000:+.1f} s off the server's, by which limits are counted"
        )
        return warn("server clock", detail, "let NTP set both clocks")
    return ok("server clock", "agrees with this machine's")
