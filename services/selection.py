"""Emails by filter, to act upon: which ones there are at this moment."""

from __future__ import annotations

from collections.abc import Sequence

from models.database import rows
from services.reading import MAX_ID
from services.search import Filters, query


def chosen(tenant: str | None, several: Sequence[Filters]) -> list[int]:
    """Ids of those that any of the filters lets through, oldest first: in the order of the queue."""
    found: set[int] = set()
    for filters in several:
        sql, params = query(tenant, filters, MAX_ID)
        found.update(int(one) for (one,) in rows(sql, *params))
    return sorted(found)
