"""Messages that were set aside, as their user reads of them."""

from __future__ import annotations

from typing import Any

from models.database import row, rows
from services import accounts
from services.principal import Principal


def listed(who: Principal, account_id: str, limit: int, offset: int) -> tuple[list[dict[str, Any]], int]:
    """A page, newest first, and how many there are."""
    accounts.find(who, account_id)
    found = rows(
        "SELECT q.folder_id, f.name, q.uid, q.reason, q.created_at FROM quarantined q JOIN folders f"
        " ON f.id = q.folder_id WHERE q.account_id = ? ORDER BY q.id DESC LIMIT ? OFFSET ?",
        account_id, limit, offset,
    )  # fmt: skip
    total = row(
        "SELECT count(*) FROM quarantined q JOIN folders f ON f.id = q.folder_id WHERE q.account_id = ?",
        account_id,
    )
    names = ("folderId", "folder", "uid", "reason", "createdAt")
    return [dict(zip(names, one, strict=True)) for one in found], int((total or (0,))[0])
