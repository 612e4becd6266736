"""A copy of the database, taken while the relay accepts and delivers; complete, checked and on disk, or not there.

SQLite's backup API copies page by page. It runs inside one read transaction: the copy is the database as it was at
the beginning, however much is written meanwhile, and in write-ahead mode a reader holds up no writer. Without that
transaction every commit of the relay would make the copy begin anew. The price: the write-ahead log cannot be used
again before the copy is done.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2 as sqlite

from services.backup_file import INFO, Report, inspect
from services.errors import ServiceError
from services.presence import daemon_lock
from utils.clock import compact
from utils.filelock import FileLock, is_locked
from utils.machine import free_bytes, host_name, sync_folder
from utils.version import VERSION

STEP_PAGES = 2_048
SYNC_STEPS = 4  # the copy reaches the disk in small parts, or its flood would hold up the relay's own fsyncs
NAME = re.compile(r"mailferry-\d{8}T\d{6}Z\.db")

Progress = Callable[[int, int], None]  # pages done, pages in all


class BackupError(ServiceError):
    """A backup cannot be taken, trusted or restored; the message says why and what to do."""

    code = "BACKUP_FAILED"


def back_up(
    database: Path, to: Path, now: int, *, keep: int | None = None, progress: Progress = lambda done, total: None
) -> tuple[Report, list[Path]]:  # fmt: skip
    """Copy `database` to `to`, a folder (the file is named by the time) or a file that is not there yet.

    `keep`: in a folder, delete all but the newest so many once the new one is checked. Returns what the check found
    and which were deleted. BackupError when the copy cannot be made or does not pass its check; it is gone then.
    """
    if not database.exists():
        raise BackupError(f"there is no database at {database}: DATA_DIR or DATABASE_URL names another place")
    target = _target(to, now, keep)
    part = target.with_name(f".{target.name}.part")
    with _alone_in(target.parent):
        try:
            part.unlink(missing_ok=True)
            part.touch(mode=0o600)
            _copy(database, part, now, progress)
            report = inspect(part)
            if not report.ok:
                raise BackupError(f"the copy is damaged ({'; '.join(report.faults)}): run doctor --deep")
            _put_in_place(part, target)
        except sqlite.Error as exc:
            raise BackupError(
                f"the database cannot be copied: {exc}; look at both disks, and run doctor --deep"
            ) from exc
        finally:
            part.unlink(missing_ok=True)
        removed = _rotate(target.parent, keep) if keep is not None else []
    return report.at(target), removed


def _target(to: Path, now: int, keep: int | None) -> Path:
    if to.is_dir() or to.suffix == "":
        to.mkdir(parents=True, exist_ok=True, mode=0o700)
        to = to / f"mailferry-{compact(now)}.db"
    elif keep is not None:
        raise BackupError(f"--keep needs a folder, and {to} names a file")
    if not to.parent.is_dir():
        raise BackupError(f"there is no folder {to.parent}")
    if to.exists():
        raise BackupError(f"{to} is there already, and no backup is overwritten: name another file")
    return to


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One backup a folder at a time; what a killed one left behind is cleared away."""
    lock = FileLock(folder / ".mailferry-backup.lock")
    if not lock.try_acquire():
        raise BackupError(f"another backup is being written to {folder}: wait until it is done")
    try:
        for leftover in folder.glob(".mailferry-*Z.db.part*"):
            leftover.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def _copy(database: Path, part: Path, now: int, progress: Progress) -> None:
    source, target = sqlite.connect(str(database), timeout=60), sqlite.connect(str(part))
    with closing(source), closing(target), part.open("rb+") as file:
        source.isolation_level = None
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_master").fetchone()  # the moment that the copy shows
        _check_room(source, part.parent)
        target.execute("PRAGMA synchronous=OFF")  # we sync it ourselves, in parts
        steps = 0

        def step(_status: int, left: int, total: int) -> None:
            nonlocal steps
            steps += 1
            if steps % SYNC_STEPS == 0:
                os.fsync(file.fileno())
            progress(total - left, total)

        source.backup(target, pages=STEP_PAGES, progress=step)
        source.execute("COMMIT")
        target.execute("PRAGMA journal_mode=DELETE")  # one file, complete in itself
        _describe(target, database, now)


def _check_room(source: Any, folder: Path) -> None:
    needed = (
        source.execute("PRAGMA page_count").fetchone()[0] * source.execute("PRAGMA page_size").fetchone()[0]
    )
    if free_bytes(folder) < needed:
        raise BackupError(f"{folder} has {free_bytes(folder):,} bytes free, and the copy needs {needed:,}")


def _describe(target: Any, database: Path, now: int) -> None:
    """What a restore has to know and the tables do not tell."""
    facts = {
        "taken_at": now,
        "version": VERSION,
        "host": host_name(),
        "running": int(is_locked(daemon_lock(database))),
    }
    target.execute(f"CREATE TABLE {INFO} (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    target.executemany(f"INSERT INTO {INFO} VALUES (?, ?)", [(name, str(one)) for name, one in facts.items()])
    target.commit()


def _put_in_place(part: Path, target: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.rename(target)
    sync_folder(target.parent)


def _rotate(folder: Path, keep: int) -> list[Path]:
    """Only files that bear our names, oldest first."""
    ours = sorted(one for one in folder.iterdir() if NAME.fullmatch(one.name) and one.is_file())
    old = ours[: max(0, len(ours) - max(1, keep))]
    for one in old:
        one.unlink()
    return old
