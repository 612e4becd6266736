"""The database: its engine, its integrity, its age, and who has it open."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

from peewee import DatabaseError
from pysqlite3 import dbapi2 as sqlite

from models.account import Credential
from models.database import rows
from models.migrate import pending
from models.smtp_config import SmtpConfig
from services.doctor import server
from services.doctor.check import Check, fail, ok, warn
from services.presence import running
from services.relay import Relay
from services.switches import last_backup
from utils.clock import DAY, MINUTE, iso
from utils.crypto import DecryptionError

_SOUND_SQLITE = (3, 51, 3)  # before it, the write-ahead log could be corrupted
_MB = 1_000_000
_LARGE_WAL = 256 * _MB
_SLACK = 5 * MINUTE
_STALE = 7 * DAY


def missing(path: Path) -> Check:
    return ok("database", f"{path} will be made at the first start")


def check(relay: Relay, where: Path | str, now: int, *, deep: bool) -> Generator[Check, None, bool]:
    """Returns whether the tables can be read."""
    for one in _file(where, deep) if isinstance(where, Path) else server.check(now):
        yield one
        if one.state == "fail":
            return False
    file = isinstance(where, Path)
    waiting = pending()
    if waiting:
        advice = "they are applied at the next start" + (", after a copy of the file is made" if file else "")
        yield warn("migrations", f"{len(waiting)} wait: {', '.join(waiting)}", advice)
        return False
    yield ok("migrations", "all applied")
    yield _future(now)
    yield _daemon(relay, now)
    yield _backup(now)
    yield _passwords(relay)
    return True


def _file(path: Path, deep: bool) -> Iterator[Check]:
    yield _engine()
    yield _integrity(deep)
    yield _wal(path)


def _engine() -> Check:
    if sqlite.sqlite_version_info < _SOUND_SQLITE:
        advice = "install pysqlite3 0.6.1 or newer, which brings its own"
        return fail("sqlite", f"{sqlite.sqlite_version} may corrupt the write-ahead log", advice)
    return ok("sqlite", str(sqlite.sqlite_version))


def _integrity(deep: bool) -> Check:
    pragma = "integrity_check" if deep else "quick_check"
    try:
        found = [str(one[0]) for one in rows(f"PRAGMA {pragma}(5)")]
    except (DatabaseError, sqlite.Error) as exc:  # a file that is no database at all
        found = [str(exc)]
    if found != ["ok"]:
        advice = "stop the relay, keep a copy of the file, and restore a backup or try sqlite3's .recover"
        return fail("database", "; ".join(found), advice)
    return ok("database", f"{pragma} found no damage" + ("" if deep else " (--deep reads the indexes too)"))


def _wal(path: Path) -> Check:
    wal = path.with_name(path.name + "-wal")
    size = wal.stat().st_size if wal.exists() else 0
    detail = f"{size // _MB} MB in the write-ahead log"
    if size > _LARGE_WAL:
        advice = (
            "some program keeps a read transaction open, such as a backup or a database browser: close it"
        )
        return warn("write-ahead log", detail, advice)
    return ok("write-ahead log", detail)


def _future(now: int) -> Check:
    latest = max(
        value or 0
        for (value,) in rows(
            "SELECT max(created_at) FROM (SELECT created_at FROM emails ORDER BY id DESC LIMIT 1000) latest"
            " UNION ALL SELECT max(minute) * 60000 FROM usage"
        )
    )
    if latest > now + _SLACK:
        detail = f"the database holds records of {iso(latest)}, which is in the future"
        return warn(
            "records", detail, "set the clock right: until then those records count against the limits"
        )
    return ok("records", "none is dated in the future")


def _daemon(relay: Relay, now: int) -> Check:
    found = running(relay.policy, now)
    if not found:
        return ok("daemon", "none is running on this database")
    return ok(
        "daemon",
        "running: "
        + ", ".join(f"process {one.pid} on {one.host} since {iso(one.started_at)}" for one in found),
    )


def _backup(now: int) -> Check:
    taken = last_backup()
    if not taken:
        return ok("backup", "none was taken by `python app.py backup` yet")
    if now - taken > _STALE:
        detail = f"the last one was taken at {iso(taken)}"
        return warn("backup", detail, "find out why the timer or cron job fails: `python app.py backup`")
    return ok("backup", f"taken at {iso(taken)}")


def _passwords(relay: Relay) -> Check:
    stored = list(SmtpConfig.select().where(SmtpConfig.password.is_null(False)))
    unreadable = [f"{one.id} ({one.name})" for one in stored if not _opens(relay, one.password or "")]
    secrets = list(Credential.select())
    lost = [f"{one.tenant}/{one.user}/{one.id}" for one in secrets if not _opens(relay, one.secret)]
    if unreadable or lost:
        named = [("the password of config", unreadable), ("the credential", lost)]
        told = "; nor ".join(f"{what} {', '.join(which)}" for what, which in named if which)
        detail = f"CREDENTIALS_KEY cannot read {told}"
        return fail(
            "passwords", detail, "add the key they were stored under to CREDENTIALS_KEY, or set them anew"
        )
    return ok("passwords", f"CREDENTIALS_KEY reads all {len(stored) + len(secrets)} stored")


def _opens(relay: Relay, secret: str) -> bool:
    try:
        relay.vault.decrypt(secret)
    except DecryptionError:
        return False
    return True
