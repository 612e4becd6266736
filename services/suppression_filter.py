"""Who may be suppressed, in the memory of this process: mail to anybody else is accepted without a look at the list.

It may say yes too often, and the list is asked then, but never no for somebody on it: it counts only as long as it has
seen all that was ever entered. It is filled beside the write path, so of what is committed alone, and on SQLite alone:
on PostgreSQL a lower id may be committed after a higher one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.database import database, row, rows

MOST = 500_000  # addresses, of all tenants: some 50 MB; of longer lists nothing is kept
STEP = 10_000

_LAST = "SELECT seq FROM sqlite_sequence WHERE name = 'suppressions'"


class Filter:
    """Of one database."""

    def __init__(self) -> None:
        self._of: Any = None
        self._seen = -1  # the last id that is in here
        self._hashes: set[int] = set()

    def refresh(self) -> None:
        """Take in what was entered since. What was removed stays: it costs a look at the list."""
        if database.shared:
            return
        if self._of is not database.obj:
            self._of, self._seen, self._hashes = database.obj, -1, set()
        last = _last()
        at = self._seen
        while at < last and len(self._hashes) <= MOST:
            found = rows(
                "SELECT id, tenant, address FROM suppressions WHERE id > ? ORDER BY id LIMIT ?", at, STEP
            )
            self._hashes.update(hash((tenant, address)) for _, tenant, address in found)
            at = found[-1][0] if found else last
        if len(self._hashes) <= MOST:
            self._seen = max(at, last)

    def maybe(self, tenant: str, addresses: Iterable[str]) -> list[str] | None:
        """Those who may be on the list; None: ask it. Inside a write job."""
        if self._of is not database.obj or self._seen < 0 or _last() > self._seen:
            return None
        known = self._hashes
        return [one for one in addresses if hash((tenant, one)) in known] if known else []


def _last() -> int:
    found = row(_LAST)
    return int(found[0]) if found else 0


filter_ = Filter()
