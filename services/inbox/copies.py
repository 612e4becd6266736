"""Where on its server a letter is to be had."""

from __future__ import annotations

from dataclasses import dataclass

from models.database import row
from services.errors import NotFoundError
from services.imap import Client, select


@dataclass(frozen=True, slots=True)
class Copy:
    """A message of a letter."""

    raw_name: bytes  # of its folder
    uidvalidity: int
    uid: int


def copy_of(account_id: str, letter_id: int) -> Copy | None:
    """Any of its copies: sooner one that its folder still has by this UID."""
    found = row(
        "SELECT f.raw_name, m.uidvalidity, m.uid FROM messages m JOIN folders f ON f.id = m.folder_id"
        " WHERE m.letter_id = ? AND m.account_id = ? AND m.gone_at IS NULL AND m.view_of IS NULL"
        " ORDER BY CASE WHEN f.uidvalidity = m.uidvalidity THEN 0 ELSE 1 END, f.missed, m.id LIMIT 1",
        letter_id, account_id,
    )  # fmt: skip
    return Copy(bytes(found[0]), found[1], found[2]) if found else None


def select_folder(client: Client, copy: Copy) -> None:
    """To read it. NotFoundError when UIDs mean something else there by now."""
    if select(client, copy.raw_name).uidvalidity != copy.uidvalidity:
        raise NotFoundError("the folder was made anew since the last sync: sync it first")
