"""A backup file, read without changing it: what it holds, how old it is, and whether it can be relied upon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pysqlite3 import dbapi2 as sqlite

from models.email import RecipientState, State
from models.migrate import FOLDER
from utils.clock import iso
from utils.crypto import DecryptionError, Vault

INFO = "backup_info"  # a table of the copy, dropped when it is restored
_TO_TRY = f"('{RecipientState.PENDING}', '{RecipientState.RETRY}')"
_OPEN = f"('{State.SCHEDULED}', '{State.QUEUED}', '{State.RETRY}', '{State.SENDING}')"

# What must hold between the rows, each as a count of those for which it does not.
_RULES = {
    "emails in a state that is none": f"state NOT IN ({', '.join(repr(str(one)) for one in State)})",
    "emails without recipients": "NOT EXISTS (SELECT 1 FROM recipients r WHERE r.email_id = e.id)",
    "waiting emails without anybody to send to": f"state IN {_OPEN} AND NOT EXISTS (SELECT 1 FROM recipients r"
    f" WHERE r.email_id = e.id AND r.state IN {_TO_TRY})",
    "waiting emails without content": f"state IN {_OPEN} AND NOT EXISTS (SELECT 1 FROM contents c"
    " WHERE c.email_id = e.id)",
    "waiting emails in no lane": f"state IN {_OPEN} AND NOT EXISTS (SELECT 1 FROM lanes l WHERE l.id = e.lane_id)",
    "emails being sent without a lease": f"state = '{State.SENDING}' AND lease IS NULL",
    "emails whose attachments are missing": "id IN (SELECT email_id FROM attachments a"
    " WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.id = a.blob_id))",
}


@dataclass(frozen=True, slots=True)
class Report:
    """`faults` is empty when the file may be restored. Times in ms, `size` in bytes."""

    file: Path
    size: int
    taken_at: int
    version: str = ""  # of the Mailferry that took it; empty for a plain copy of a database
    host: str = ""
    running: bool = True  # whether a relay ran on the database then, as far as known
    faults: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)  # migrations that a restore will apply
    counts: dict[str, int] = field(default_factory=dict)  # emails by state
    last_id: int = 0
    passwords: list[str] = field(default_factory=list)  # as stored, encrypted

    @property
    def ok(self) -> bool:
        return not self.faults

    def at(self, file: Path) -> Report:
        return replace(self, file=file)

    def unreadable(self, vault: Vault) -> int:
        """How many stored passwords none of the vault's keys opens."""
        return sum(not _opens(vault, one) for one in self.passwords)

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": self.ok, "file": str(self.file), "size": self.size, "taken_at": iso(self.taken_at),
            "version": self.version, "host": self.host, "relay_was_running": self.running, "faults": self.faults,
            "pending_migrations": self.pending, "emails": self.counts, "last_id": self.last_id,
            "passwords": len(self.passwords),
        }  # fmt: skip


def inspect(file: Path) -> Report:
    """Read the whole file: its pages and indexes, its age against this code, and its rows against each other."""
    about = Report(file, file.stat().st_size, file.stat().st_mtime_ns // 1_000_000)
    log = file.with_name(file.name + "-wal")
    if log.exists() and log.stat().st_size:
        return replace(
            about, faults=[f"{log.name} beside it holds a part of it: take a backup with `backup`"]
        )
    try:
        with closing(sqlite.connect(f"file:{quote(str(file))}?mode=ro&immutable=1", uri=True)) as copy:
            return _read(copy, about)
    except sqlite.Error as exc:
        return replace(about, faults=[f"it cannot be read as a database: {exc}"])


def _read(copy: Any, about: Report) -> Report:
    damage = [str(one) for (one,) in copy.execute("PRAGMA integrity_check(5)") if one != "ok"]
    if damage:
        return replace(about, faults=damage)
    tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"emails", "schema_migrations"} <= tables:
        return replace(about, faults=["it is a database, but not one of Mailferry"])
    if INFO in tables:
        facts = dict(copy.execute(f"SELECT name, value FROM {INFO}"))
        about = replace(
            about, taken_at=int(facts["taken_at"]), version=facts["version"], host=facts["host"],
            running=facts["running"] == "1",
        )  # fmt: skip
    known = {one.stem for one in FOLDER.glob("[0-9]*.py")}
    applied = {name for (name,) in copy.execute("SELECT name FROM schema_migrations")}
    if newer := sorted(applied - known):
        return replace(
            about, faults=[f"a newer Mailferry made it ({', '.join(newer)}): restore it with that one"]
        )
    about = replace(about, pending=sorted(known - applied), **_content(copy))
    return about if about.pending else replace(about, faults=list(_broken_rules(copy)))


def _content(copy: Any) -> dict[str, Any]:
    last = copy.execute("SELECT seq FROM sqlite_sequence WHERE name = 'emails'").fetchone()
    stored = copy.execute("SELECT password FROM smtp_configs WHERE password IS NOT NULL")
    tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    secrets = copy.execute("SELECT secret FROM credentials") if "credentials" in tables else ()
    return {
        "counts": dict(copy.execute("SELECT state, count(*) FROM emails GROUP BY state")),
        "last_id": int(last[0]) if last else 0,
        "passwords": [one for (one,) in (*stored, *secrets)],
    }


def _broken_rules(copy: Any) -> Iterator[str]:
    for what, broken in _RULES.items():
        (count,) = copy.execute(f"SELECT count(*) FROM emails e WHERE {broken}").fetchone()
        if count:
            yield f"{count} {what}"


def _opens(vault: Vault, stored: str) -> bool:
    try:
        vault.decrypt(stored)
    except DecryptionError:
        return False
    return True
