"""Messages as the API shows them."""

from __future__ import annotations

import json
from typing import Any

from models.database import marks, rows
from models.inbox import Role
from services.imap.labels import user_labels

Item = dict[str, Any]
# Servers' own keywords, no labels of people's.
KEYWORDS = frozenset({"junk", "nonjunk", "notjunk", "forwarded", "mdnsent"})
_COLUMNS = (
    "m.id, m.account_id, m.folder_id, f.role, m.flags, m.is_read, m.is_starred, m.received_at, m.created_at,"
    " m.updated_at, l.id, l.subject, l.sender, l.recipients, l.sent_at, l.size, l.preview, l.conversation_id, m.labels"
)


def items(ids: list[int]) -> list[Item]:
    """What a list shows of messages, in the order of `ids`."""
    found = rows(
        f"SELECT {_COLUMNS} FROM messages m JOIN letters l ON l.id = m.letter_id JOIN folders f ON f.id = m.folder_id"
        f" WHERE m.id IN ({marks(len(ids))})",
        *ids,
    )
    attached = _attached({int(one[10]) for one in found})
    by_id = {int(one[0]): _item(one, attached.get(one[10], 0)) for one in found}
    return [by_id[one] for one in ids if one in by_id]


def _item(one: tuple[Any, ...], attached: int) -> Item:
    flags, sender, recipients = json.loads(one[4]), json.loads(one[12] or "null"), json.loads(one[13])
    return {
        "id": str(one[0]),
        "accountId": one[1],
        "folderId": str(one[2]),
        "conversationId": str(one[17] or one[10]),
        "from": sender[1] if sender else "",
        "fromName": sender[0] if sender else "",
        "to": _addresses(recipients, "to"),
        "cc": _addresses(recipients, "cc"),
        "bcc": _addresses(recipients, "bcc"),
        "subject": one[11],
        "preview": one[16][:200],
        "isRead": bool(one[5]),
        "isStarred": bool(one[6]),
        "isSpam": one[3] == Role.SPAM or "$junk" in {flag.lower() for flag in flags},
        "isDeleted": one[3] == Role.TRASH or "\\deleted" in {flag.lower() for flag in flags},
        "labels": labels_of(flags) if one[18] is None else user_labels(json.loads(one[18])),
        "attachmentCount": attached,
        "size": one[15],
        "sentAt": one[14],
        "receivedAt": one[7],
        "createdAt": one[8],
        "updatedAt": one[9],
    }


def labels_of(flags: list[str]) -> list[str]:
    """What of the server's flags people have set as labels."""
    return [one for one in flags if one[:1] not in ("\\", "$") and one.lower() not in KEYWORDS]


def _addresses(recipients: dict[str, list[list[str]]], kind: str) -> list[str]:
    return [address for _, address in recipients.get(kind) or []]


def _attached(letter_ids: set[int]) -> dict[int, int]:
    return dict(rows(
        f"SELECT letter_id, count(*) FROM parts WHERE letter_id IN ({marks(len(letter_ids))}) AND NOT is_inline"
        " GROUP BY letter_id",
        *letter_ids,
    ))  # fmt: skip
