"""Taking messages out of the store, and the letters that no message shows any more. All inside write jobs."""

from __future__ import annotations

from collections.abc import Sequence

from models.database import marks, rows, run
from services.inbox.threads import Threaded, forget

AT_ONCE = 400
PER_JOB = 500  # messages: others wait for the write


def erase_folder(folder_id: int) -> None:
    """It alone; `erase_content` comes first."""
    run("DELETE FROM quarantined WHERE folder_id = ?", folder_id)
    run("DELETE FROM folders WHERE id = ?", folder_id)
    run("UPDATE folders SET parent_id = NULL WHERE parent_id = ?", folder_id)


def erase_content(account_id: str, folder_id: int) -> int:
    """Messages of a folder. How many, at most PER_JOB."""
    found = rows("SELECT id, letter_id FROM messages WHERE folder_id = ? LIMIT ?", folder_id, PER_JOB)
    _erase(account_id, found)
    return len(found)


def gone_messages(account_id: str) -> list[int]:
    """Not in a write job. Those that have left, and have not turned up elsewhere so far."""
    found = rows("SELECT id FROM messages WHERE account_id = ? AND gone_at IS NOT NULL", account_id)
    return [one[0] for one in found]


def erase_gone(account_id: str, messages: Sequence[int]) -> None:
    """Those of them that have still not turned up; at most AT_ONCE of them."""
    _erase(
        account_id,
        rows(
            f"SELECT id, letter_id FROM messages WHERE id IN ({marks(len(messages))}) AND account_id = ?"
            " AND gone_at IS NOT NULL",
            *messages, account_id,
        ),
    )  # fmt: skip


def erase_former(account_id: str, folder_id: int, uidvalidity: int) -> int:
    """Messages of a folder's former UIDVALIDITY that have not been found again. How many, at most PER_JOB."""
    found = rows(
        "SELECT id, letter_id FROM messages WHERE folder_id = ? AND uidvalidity <> ? LIMIT ?",
        folder_id, uidvalidity, PER_JOB,
    )  # fmt: skip
    _erase(account_id, found)
    return len(found)


def _erase(account_id: str, found: Sequence[tuple[int, int]]) -> None:
    for some in _chunks([one[0] for one in found]):
        run(f"DELETE FROM messages WHERE view_of IN ({marks(len(some))})", *some)
        run(f"DELETE FROM messages WHERE id IN ({marks(len(some))})", *some)
    erase_letters(account_id, list({one[1] for one in found}))


def erase_letters(account_id: str, letters: Sequence[int]) -> None:
    """Those of them that no message shows."""
    for some in _chunks(letters):
        among = marks(len(some))
        found = rows(
            "SELECT id, thread_id, message_id, in_reply_to, refs, base_subject FROM letters"
            f" WHERE id IN ({among}) AND NOT EXISTS (SELECT 1 FROM messages WHERE letter_id = letters.id)",
            *some,
        )
        unused = [one[0] for one in found]
        among = marks(len(unused))
        forget(account_id, [Threaded(*one) for one in found])
        run(f"DELETE FROM parts WHERE letter_id IN ({among})", *unused)
        run(f"DELETE FROM letters WHERE id IN ({among})", *unused)


def _chunks(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE)]
