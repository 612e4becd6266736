"""What a list of conversations shows beside the newest message of each."""

from __future__ import annotations

from models.database import marks, rows
from services.inbox.view import Item


def with_counts(items: list[Item], account_id: str) -> list[Item]:
    """`conversation`: how many letters it has in all folders, and how many of its messages are unread."""
    ids = {int(one["conversationId"]) for one in items}
    found = rows(
        "SELECT l.conversation_id, count(DISTINCT l.id), count(*) FILTER (WHERE NOT m.is_read) FROM letters l"
        " INDEXED BY letters_conversation"
        " JOIN messages m ON m.letter_id = l.id"
        f" WHERE l.conversation_id IN ({marks(len(ids))}) AND l.account_id = ? AND m.gone_at IS NULL"
        " AND m.view_of IS NULL"
        " GROUP BY l.conversation_id",
        *ids, account_id,
    )  # fmt: skip
    counts = {
        conversation: {"messageCount": letters, "unreadCount": unread}
        for conversation, letters, unread in found
    }
    for one in items:
        one["conversation"] = counts.get(int(one["conversationId"]), {"messageCount": 1, "unreadCount": 0})
    return items
