"""The folders of an account."""

from __future__ import annotations

from typing import Any

from models.inbox import Folder, Role
from services.errors import NotFoundError

_ORDER = {str(role): at for at, role in enumerate(Role)}


def find(account_id: str, folder_id: int) -> Folder:
    """NotFoundError unless the account has it."""
    folder: Folder | None = Folder.get_or_none(Folder.id == folder_id, Folder.account_id == account_id)
    if folder is None:
        raise NotFoundError(f"no folder {folder_id}")
    return folder


def listed(account_id: str) -> list[dict[str, Any]]:
    """What has a role first, the others by their name."""
    found = list(Folder.select().where(Folder.account_id == account_id))
    found.sort(key=lambda one: (_ORDER.get(one.role, len(_ORDER)), one.name.casefold(), one.id))
    return [_view(one) for one in found]


def with_role(account_id: str, role: Role) -> Folder | None:
    """The one whom its user chose, else the one that the server or its name says."""
    query = Folder.select().where(
        Folder.account_id == account_id, Folder.role == role, Folder.is_selectable, Folder.missed == 0
    )
    found: Folder | None = query.order_by(Folder.role_by_user.desc(), Folder.id).first()
    return found


def _view(folder: Folder) -> dict[str, Any]:
    return {
        "id": str(folder.id),
        "accountId": folder.account_id,
        "name": folder.name,
        "displayName": _display_name(folder),
        "type": folder.role,
        "parentId": None if folder.parent_id is None else str(folder.parent_id),
        "isSelectable": folder.is_selectable,
        "messageCount": folder.message_count,
        "unreadCount": folder.unread_count,
        "syncedAt": folder.synced_at,
    }


def _display_name(folder: Folder) -> str:
    """Its own part of the name. INBOX is the server's word, not a person's."""
    if folder.name.upper() == "INBOX":
        return "Inbox"
    return str(
        (folder.name.rsplit(folder.separator, 1)[-1] if folder.separator else folder.name) or folder.name
    )
