"""The rows of new messages: inside one write job, with the cursor that says how far they go.

A message that is one of ours again (moved here, or of the folder's former UIDVALIDITY) keeps its row. One that says the
same as a letter of ours, as far as the server or the whole header can tell, shares it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.database import marks, new_ids, rows, run, run_many, run_values
from models.inbox import Folder
from services.inbox.threads import Threaded, conversations_of
from services.sync.arrivals import Arrived
from services.sync.bodies import attachments
from services.sync.run import Run
from services.sync.views import show_uids
from utils.subjects import base_subject

_AT_ONCE = 400


@dataclass(slots=True)
class Stored:
    """`wanting`: new letters whose text is still to come, with what they are made of."""

    added: int = 0
    moved: int = 0
    wanting: list[tuple[int, Arrived]] = field(default_factory=list)


def store(run_: Run, folder: Folder, arrived: Sequence[Arrived]) -> Stored:
    """In a write job."""
    here = _present(folder, arrived)
    fresh = [one for one in arrived if one.uid not in here]
    letters = _known_letters(run_.account.id, fresh)
    movable = _movable(run_.account.id, folder, {one for some in letters.values() for one in some})
    done = Stored()
    messages: list[tuple[Any, ...]] = []
    unknown: list[Arrived] = []
    for one in fresh:
        known = letters.get(one.uid, [])
        source = next((movable[letter].pop() for letter in known if movable.get(letter)), None)
        if source is not None:
            _take_over(run_, folder, one, source)
            done.moved += 1
        elif known:
            messages.append(_message(run_, folder, one, known[0]))
        else:
            unknown.append(one)
    for letter_id, one in zip(_insert_letters(run_, unknown), unknown, strict=True):
        messages.append(_message(run_, folder, one, letter_id))
        if one.has_text:
            done.wanting.append((letter_id, one))
    _insert_messages(messages)
    done.added = len(messages)
    if run_.all_mail is not None:
        run_.relabelled |= show_uids(run_.all_mail, folder, [one.uid for one in fresh])
    return done


def _present(folder: Folder, arrived: Sequence[Arrived]) -> set[int]:
    found: set[int] = set()
    for some in _chunks([one.uid for one in arrived]):
        found |= {
            uid
            for (uid,) in rows(
                "SELECT uid FROM messages WHERE folder_id = ? AND uidvalidity = ? AND gone_at IS NULL"
                f" AND uid IN ({marks(len(some))})",
                folder.id, folder.uidvalidity, *some,
            )
        }  # fmt: skip
    return found


def _known_letters(account_id: str, arrived: Sequence[Arrived]) -> dict[int, list[int]]:
    """By UID, the letters that say the same. In one batch two copies of a new one may come: each has its own then."""
    by_server = {one.server_id: one for one in arrived if one.server_id}
    found: dict[int, list[int]] = defaultdict(list)
    for some in _chunks(list(by_server)):
        for letter_id, server_id in rows(
            f"SELECT id, server_id FROM letters WHERE account_id = ? AND server_id IN ({marks(len(some))}) ORDER BY id",
            account_id, *some,
        ):  # fmt: skip
            found[by_server[server_id].uid].append(letter_id)
    others = [one for one in arrived if not one.server_id]
    by_key: dict[tuple[str, int, str], list[Arrived]] = defaultdict(list)
    for one in others:
        by_key[one.headers.message_id, one.size, one.headers.raw].append(one)
    likely = {(one.headers.message_id, one.size) for one in others}
    for some in _chunks(sorted({message_id for message_id, _ in likely})):
        sizes = sorted({size for message_id, size in likely if message_id in set(some)})
        for letter_id, message_id, size, headers in _by_message_id(account_id, some, sizes):
            for one in by_key.get((message_id, size, headers or ""), ()):
                found[one.uid].append(letter_id)
    return found


def _by_message_id(account_id: str, ids: Sequence[str], sizes: Sequence[int]) -> list[tuple[Any, ...]]:
    return rows(
        "SELECT id, message_id, size, headers FROM letters WHERE account_id = ?"
        f" AND message_id IN ({marks(len(ids))}) AND size IN ({marks(len(sizes))}) AND server_id IS NULL ORDER BY id",
        account_id, *ids, *sizes,
    )  # fmt: skip


def _movable(account_id: str, folder: Folder, letters: Iterable[int]) -> dict[int, list[int]]:
    """By letter, messages that are nowhere now: their row may be taken along. Those of this folder first."""
    found: dict[int, list[int]] = defaultdict(list)
    for some in _chunks(sorted(letters)):
        for letter_id, message_id in rows(
            "SELECT m.letter_id, m.id FROM messages m JOIN folders f ON f.id = m.folder_id"
            f" WHERE m.account_id = ? AND m.view_of IS NULL AND m.letter_id IN ({marks(len(some))})"
            " AND (m.uid > 0 OR m.folder_id = ?)"  # one that was moved to a place untold is awaited there alone
            " AND (m.gone_at IS NOT NULL"
            " OR f.missed > 0 OR (m.folder_id = ? AND m.uidvalidity <> ?))"
            " ORDER BY CASE WHEN m.folder_id = ? THEN 1 ELSE 0 END, m.id",
            account_id, *some, folder.id, folder.id, folder.uidvalidity, folder.id,
        ):  # fmt: skip
            found[letter_id].append(message_id)
    return found


def _take_over(run_: Run, folder: Folder, one: Arrived, message_id: int) -> None:
    run(
        "UPDATE messages SET folder_id = ?, uidvalidity = ?, uid = ?, received_at = ?, flags = ?, is_read = ?,"
        " is_starred = ?, labels = ?, modseq = ?, gone_at = NULL, updated_at = ? WHERE id = ?",
        folder.id, folder.uidvalidity, one.uid, one.received_at, json.dumps(one.flags), "\\Seen" in one.flags,
        "\\Flagged" in one.flags, _labels(one), one.modseq, run_.now, message_id,
    )  # fmt: skip


def _message(run_: Run, folder: Folder, one: Arrived, letter_id: int) -> tuple[Any, ...]:
    sender = one.headers.sender
    return (
        run_.account.id, folder.id, folder.uidvalidity, one.uid, letter_id, one.received_at,
        sender[1].lower()[:300] if sender else "", json.dumps(one.flags), "\\Seen" in one.flags,
        "\\Flagged" in one.flags, _labels(one), one.modseq, run_.now, run_.now,
    )  # fmt: skip


def _labels(one: Arrived) -> str | None:
    return None if one.labels is None else json.dumps(one.labels)


def _insert_messages(messages: Sequence[tuple[Any, ...]]) -> None:
    run_values(
        "INSERT INTO messages (account_id, folder_id, uidvalidity, uid, letter_id, received_at, sender, flags,"
        " is_read, is_starred, labels, modseq, created_at, updated_at) VALUES {} ON CONFLICT DO NOTHING",
        messages,
    )


def _insert_letters(run_: Run, arrived: Sequence[Arrived]) -> list[int]:
    ids = new_ids("letters", len(arrived)) if arrived else []
    run_values(
        "INSERT INTO letters (id, account_id, server_id, thread_id, message_id, in_reply_to, refs,"
        " subject, base_subject, sender, recipients, sent_at, received_at, size, preview, people, has_body, headers,"
        " created_at) VALUES {}",
        [_letter(run_, letter_id, one) for letter_id, one in zip(ids, arrived, strict=True)],
    )
    _place(run_, ids, arrived)
    run_many(
        "INSERT INTO parts (letter_id, section, filename, mime_type, encoding, size, content_id, is_inline)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (letter_id, part.section, part.filename, part.mime_type, part.encoding, part.size, part.content_id,
             part.is_inline)
            for letter_id, one in zip(ids, arrived, strict=True)
            for part in attachments(one.parts)
        ],
    )  # fmt: skip
    return ids


def _place(run_: Run, ids: Sequence[int], arrived: Sequence[Arrived]) -> None:
    """In the conversations that they belong to."""
    threaded = [
        Threaded(
            letter_id, one.thread_id, one.headers.message_id, one.headers.in_reply_to, one.headers.references,
            base_subject(one.headers.subject),
        )
        for letter_id, one in zip(ids, arrived, strict=True)
    ]  # fmt: skip
    if threaded:
        found = conversations_of(run_.account.id, threaded)
        run_many(
            "UPDATE letters SET conversation_id = ? WHERE id = ?",
            [(conversation, letter_id) for letter_id, conversation in found.items()],
        )


def _letter(run_: Run, letter_id: int, one: Arrived) -> tuple[Any, ...]:
    told = one.headers
    return (
        letter_id, run_.account.id, one.server_id, one.thread_id, told.message_id, told.in_reply_to,
        told.references, told.subject, base_subject(told.subject), json.dumps(told.sender),
        json.dumps(told.recipients), told.sent_at,
        one.received_at, one.size, "", told.people, not one.has_text, told.raw, run_.now,
    )  # fmt: skip


def _chunks(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[at : at + _AT_ONCE] for at in range(0, len(items), _AT_ONCE)]
