"""Putting a backup in the database's place.

The file is the past; what the lost database did afterwards cannot be known. Mail that waited in the backup may have
gone out since, ids may have been given to other emails, limits may be used up. So a restore takes nothing of that for
granted: such mail is held (or sent again, if one says so), ids go on far beyond, limits count as used up.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from peewee import DatabaseError
from pysqlite3 import dbapi2 as sqlite

import models
from models.database import database
from services import aftermath, audit, kept_suppressions
from services.backup import BackupError
from services.backup_file import Report, inspect
from services.presence import daemon_lock
from utils.clock import compact, iso
from utils.crypto import Vault
from utils.filelock import FileLock, holder_of
from utils.machine import free_bytes, sync_folder

_PARTS = ("", "-wal", "-shm")  # a log left behind would be played into the restored database
_CHUNK = 4_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """How to restore. The last two are not looked at when nothing ran since."""

    force: bool = False  # an existing database is moved aside
    without_key: bool = False  # even if stored passwords cannot be read
    nothing_ran_since: bool = False  # no relay ran on it after the backup: all goes on as it was
    resend: bool = False  # what waited in the backup goes (maybe: again); else it is held
    trust_usage: bool = False  # limits count as used as they were in the backup


@dataclass(frozen=True, slots=True)
class Restored:
    report: Report
    changes: aftermath.Changes = field(default_factory=aftermath.Changes)
    moved_aside: list[Path] = field(default_factory=list)
    suppressed_since: int = 0  # addresses, taken over from the database that was replaced
    suppressed_whole: bool = True  # whether all of its list could be read


def restore(
    file: Path, place: Path, vault: Vault, plan: Plan, now: int, tell: Callable[[str], None] = lambda step: None,
    progress: Callable[[int, int], None] = lambda done, total: None, by: audit.Actor | None = None,
) -> Restored:  # fmt: skip
    """Check the file, then make it the database at `place`. BackupError before anything is touched.

    `progress` hears of bytes copied, of how many. `by`: who it is in the audit log, which is the restored one.
    """
    tell(f"Checking {file}")
    report = _trusted(file, vault, plan)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _nobody_else(place):
        if place.exists() and not plan.force:
            raise BackupError(
                f"there is a database at {place}: --force moves it aside first (nothing is deleted)"
            )
        needed = report.size * (3 if report.pending else 2)  # the copy, its log, and one before a migration
        if free_bytes(place.parent) < needed:
            raise BackupError(f"{place.parent} has too little room: {needed:,} bytes are needed")
        for leftover in place.parent.glob(".restore-*"):  # of a restore that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=".restore-", dir=place.parent))
        try:
            tell("Copying it")
            fresh = work / place.name
            _copy(file, fresh, progress)
            tell("Settling what may have happened since")
            kept, whole = kept_suppressions.read(place)
            changes, since = _prepare(fresh, report, plan, now, kept, by)
            aside = _swap(fresh, place, now)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return Restored(report, changes, aside, since, whole)


def _trusted(file: Path, vault: Vault, plan: Plan) -> Report:
    if not file.is_file():
        raise BackupError(f"there is no file {file}")
    report = inspect(file)
    if not report.ok:
        raise BackupError(f"{file} cannot be restored: {'; '.join(report.faults)}")
    if not plan.without_key and (unreadable := report.unreadable(vault)):
        raise BackupError(
            f"CREDENTIALS_KEY does not open {unreadable} of the {len(report.passwords)} stored passwords: put the"
            " .env of that relay in place, or restore --without-key and set the passwords anew"
        )
    return report


@contextmanager
def _nobody_else(place: Path) -> Iterator[None]:
    lock = FileLock(daemon_lock(place))
    if not lock.try_acquire():
        holder = holder_of(lock.path)
        raise BackupError(f"{place.parent} is in use by a running relay (process {holder}): stop it first")
    try:
        yield
    finally:
        lock.release()


def _copy(file: Path, fresh: Path, progress: Callable[[int, int], None]) -> None:
    size, done = file.stat().st_size, 0
    with file.open("rb") as source, fresh.open("xb") as target:
        while some := source.read(_CHUNK):
            done += target.write(some)
            progress(done, size)


def _prepare(
    fresh: Path, report: Report, plan: Plan, now: int, kept: kept_suppressions.Rows, by: audit.Actor | None
) -> tuple[aftermath.Changes, int]:
    """Bring the copy up to date, settle what is in doubt, and get all of it on disk in one file. What was changed, and
    how many suppressed addresses were added."""
    try:
        models.initialize_db(fresh)
        if by is not None:  # in the copy: whoever restores it may not be who owns the place where it goes
            audit.note(by, "restore_backup", report.file.name, {"taken_at": iso(report.taken_at)}, now)
        if plan.nothing_ran_since:
            return aftermath.forget_backup(), kept_suppressions.enter(kept)
        changes = aftermath.settle(report, now, resend=plan.resend, trust_usage=plan.trust_usage)
        return changes, kept_suppressions.enter(kept)
    except (DatabaseError, sqlite.Error) as exc:
        raise BackupError(
            f"the backup could not be brought up to date, and nothing was changed: {exc}"
        ) from exc
    finally:
        database.close_writer()
        database.execute_sql("PRAGMA journal_mode=DELETE")
        database.close()


def _swap(fresh: Path, place: Path, now: int) -> list[Path]:
    fresh.chmod(0o600)
    _belong_to_owner_of(place.parent, fresh)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    aside = [_move_aside(place, part, now) for part in _PARTS if _beside(place, part).exists()]
    fresh.rename(place)
    sync_folder(place.parent)
    return aside


def _move_aside(place: Path, part: str, now: int) -> Path:
    """The log keeps the name that belongs to its database's, so that both can still be opened together."""
    to = place.with_name(f"{place.name}.replaced-{compact(now)}{part}")
    return _beside(place, part).rename(to)


def _beside(place: Path, part: str) -> Path:
    return place.with_name(place.name + part)


def _belong_to_owner_of(folder: Path, file: Path) -> None:
    """Root may restore for the user that the relay runs as."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(file, owner.st_uid, owner.st_gid)
