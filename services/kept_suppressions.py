"""The suppressed addresses of a database that a backup replaces: whoever complained since must not be mailed again.

It may be damaged, which is why it is replaced: what can be read is kept."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pysqlite3 import dbapi2 as sqlite

from models.database import run, write

_READ = (
    "SELECT tenant, address, reason, detail, created_at FROM suppressions WHERE id > ? ORDER BY id LIMIT 500"
)
_LAST = "SELECT max(id) FROM (SELECT id FROM suppressions WHERE id > ? ORDER BY id LIMIT 500)"
_ENTER = (
    "INSERT INTO suppressions (tenant, address, reason, detail, created_at) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (tenant, address) DO NOTHING"
)

Rows = list[tuple[Any, ...]]


def read(file: Path) -> tuple[Rows, bool]:
    """All that can be read of it, and whether that is all. The file stays as it is."""
    found: Rows = []
    if not file.exists():
        return found, True
    try:
        with closing(sqlite.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=5)) as old:
            if not old.execute("SELECT 1 FROM sqlite_master WHERE name = 'suppressions'").fetchone():
                return found, True  # of a version that had none
            at = 0
            while (last := old.execute(_LAST, (at,)).fetchone()[0]) is not None:
                found += old.execute(_READ, (at,)).fetchall()
                at = last
    except sqlite.Error:
        return found, False
    return found, True


def enter(kept: Rows) -> int:
    """Into the bound database; how many it had not."""
    return write(lambda: sum(run(_ENTER, *one) for one in kept), durable=True) if kept else 0
