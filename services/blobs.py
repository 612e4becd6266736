"""Bytes of attachments, stored once per tenant: a tenant must not learn from a size or a time what others send."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from models.database import FOR_UPDATE, marks, rows, run


def keep(tenant: str, content: bytes) -> int:
    """The id of a blob with these bytes. Inside a write job, which must also store who holds it."""
    found = rows(
        "INSERT INTO blobs (tenant, sha256, size, data) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (tenant, sha256) DO UPDATE SET size = excluded.size RETURNING id",
        tenant, hashlib.sha256(content).digest(), len(content), content,
    )  # fmt: skip
    return int(found[0][0])


def lock(ids: Sequence[int]) -> set[int]:
    """Those of the blobs that are there; nobody drops them until this write job is done.

    A statement of its own, so that the one that comes next sees what others have attached meanwhile.
    """
    return {
        one for (one,) in rows(f"SELECT id FROM blobs WHERE id IN ({marks(len(ids))}) {FOR_UPDATE}", *ids)
    }


def drop_unused(ids: Sequence[int]) -> None:
    """Delete those that neither an email nor an upload holds. Inside a write job, after `lock`."""
    run(
        f"DELETE FROM blobs WHERE id IN ({marks(len(ids))})"
        " AND NOT EXISTS (SELECT 1 FROM attachments WHERE blob_id = blobs.id)"
        " AND NOT EXISTS (SELECT 1 FROM uploads WHERE blob_id = blobs.id)",
        *ids,
    )
