"""Flags that changed on the server, and messages that are no more there.

With CONDSTORE the server tells what changed since; with QRESYNC also what vanished. Without, the flags of the newest
are compared each time and those of all now and then, and UIDs are compared when their number is not as it should be.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from functools import partial
from typing import Any

from models.database import marks, rows, run, run_many
from models.inbox import Folder
from services.imap import Client, Selected, existing, fetch
from services.imap.labels import read_labels
from services.sync.arrivals import read_flags, read_modseq
from services.sync.run import Run
from services.sync.views import show, show_uids

NEWEST = 400  # whose flags are compared each time
AT_ONCE = 5_000  # UIDs of a command

Held = list[int]


def update(run_: Run, folder: Folder, selected: Selected, unseen: int | None) -> None:
    """All that happened to the messages that are here. `unseen`: as STATUS counted them."""
    vanished: set[int] = set()
    held = held_uids(folder)
    if held:
        vanished = _update_flags(run_, folder, selected, held, unseen)
        if vanished:
            run_.commit(lambda: bury(run_, folder, sorted(vanished)))
    _compare_uids(run_, folder, selected, held_uids(folder) if vanished else held)
    if selected.modseq is not None and selected.modseq != folder.modseq_done:
        folder.modseq_done = selected.modseq
        run_.commit(
            lambda: run("UPDATE folders SET modseq_done = ? WHERE id = ?", selected.modseq, folder.id)
        )


def held_uids(folder: Folder) -> Held:
    """Of the messages that are here, and of those set aside: all that the server may have below the cursor."""
    found = rows(
        "SELECT uid FROM messages WHERE folder_id = ? AND uidvalidity = ? AND gone_at IS NULL"
        " UNION SELECT uid FROM quarantined WHERE folder_id = ? AND uidvalidity = ?",
        folder.id, folder.uidvalidity, folder.id, folder.uidvalidity,
    )  # fmt: skip
    return sorted(one[0] for one in found)


# Flags.


def _update_flags(run_: Run, folder: Folder, selected: Selected, held: Held, unseen: int | None) -> set[int]:
    """Returns the UIDs that vanished, where the server tells."""
    since = folder.modseq_done
    if selected.modseq is not None and since and not run_.wish.full:
        if selected.modseq == since:
            return set()
        more = " VANISHED" if run_.client.qresync else ""
        return _compare_flags(run_, folder, held, f"CHANGEDSINCE {since}{more}")
    everything = run_.all_flags or run_.wish.full or selected.modseq is not None
    if not everything and unseen is not None and unseen != _unread(folder):
        everything = True
    return _compare_flags(run_, folder, held if everything else held[-NEWEST:], "")


def _unread(folder: Folder) -> int:
    found = rows(
        "SELECT count(*) FROM messages WHERE folder_id = ? AND uidvalidity = ? AND gone_at IS NULL AND NOT is_read",
        folder.id, folder.uidvalidity,
    )  # fmt: skip
    return int(found[0][0])


def _compare_flags(run_: Run, folder: Folder, held: Held, modifiers: str) -> set[int]:
    vanished: set[int] = set()
    for at in range(0, len(held), AT_ONCE):
        run_.check()
        some = held[at : at + AT_ONCE]
        client = run_.ensure_selected(folder)
        items = "UID FLAGS MODSEQ" if client.has_condstore else "UID FLAGS"
        items += " X-GM-LABELS" if run_.all_mail is not None else ""
        before = {} if client.has_condstore else _flags_here(folder, some)
        told = fetch(client, f"{some[0]}:{some[-1]}", items, modifiers)
        here = set(some)
        vanished |= {uid for one in told.vanished for uid in _overlap(one, here)}
        flags = {uid: one for uid, one in told.messages.items() if b"FLAGS" in one and uid in here}
        if flags:
            run_.counts.changed += run_.commit(partial(store_flags, run_, folder, flags, before))
    return vanished


def _overlap(span: range, among: set[int]) -> set[int]:
    """A server may name a range of millions."""
    return {uid for uid in among if uid in span} if len(span) > len(among) else among.intersection(span)


def _flags_here(folder: Folder, held: Held) -> dict[int, str]:
    found = rows(
        "SELECT uid, flags FROM messages WHERE folder_id = ? AND uidvalidity = ? AND uid BETWEEN ? AND ?",
        folder.id, folder.uidvalidity, held[0], held[-1],
    )  # fmt: skip
    return dict(found)


def store_flags(run_: Run, folder: Folder, told: dict[int, dict[bytes, Any]], before: dict[int, str]) -> int:
    """In a write job. How many rows changed.

    Somebody may have changed a message over HTTP since we asked: what is here is newer then. That is told by MODSEQ; on
    servers without by `before`, the flags that were here when we asked.
    """
    changes = []
    uids = list(told)
    for at in range(0, len(uids), 400):
        some = uids[at : at + 400]
        for message_id, uid, *here, newest in rows(
            "SELECT id, uid, flags, labels, modseq FROM messages WHERE folder_id = ? AND uidvalidity = ?"
            f" AND uid IN ({marks(len(some))})",
            folder.id, folder.uidvalidity, *some,
        ):  # fmt: skip
            flags, labels, number = read_flags(told[uid]), read_labels(told[uid]), read_modseq(told[uid])
            is_newer = number >= newest and before.get(uid, here[0]) == here[0]
            if is_newer and [flags, labels] != [json.loads(one) if one else None for one in here]:
                seen, flagged = "\\Seen" in flags, "\\Flagged" in flags
                named = None if labels is None else json.dumps(labels)
                changes.append((json.dumps(flags), seen, flagged, named, number, run_.now, message_id))
    run_many(
        "UPDATE messages SET flags = ?, is_read = ?, is_starred = ?, labels = ?, modseq = ?, updated_at = ?"
        " WHERE id = ?",
        changes,
    )
    if run_.all_mail is not None:
        run_.relabelled |= show(run_.all_mail, [one[-1] for one in changes])
    return len(changes)


# Messages that are gone.


def _compare_uids(run_: Run, folder: Folder, selected: Selected, held: Held) -> None:
    client = run_.ensure_selected(folder)
    if not run_.wish.full and _adds_up(client, folder, selected, held):
        return
    gone: list[int] = []
    lacking: list[int] = []
    last = folder.uidnext_done - 1
    known = set(held)
    low = 1
    for at in range(0, max(len(held), 1), AT_ONCE):
        run_.check()
        some = held[at : at + AT_ONCE]
        high = some[-1] if at + AT_ONCE < len(held) else max(last, low, *some[-1:])
        there = {uid for one in existing(client, low, high) for uid in one}
        gone += [uid for uid in some if uid not in there]
        lacking += sorted(uid for uid in there - known if not _is_to_come(folder, uid))
        low = high + 1
    if gone:
        run_.commit(lambda: bury(run_, folder, gone))
    run_.lacking[folder.id] = lacking


def _is_to_come(folder: Folder, uid: int) -> bool:
    if uid >= folder.uidnext_done:
        return True
    return bool(folder.backfill_min_uid) and folder.backfill_floor <= uid < folder.backfill_min_uid


def _adds_up(client: Client, folder: Folder, selected: Selected, held: Held) -> bool:
    """As many as the server has, beside the new ones: then they are the same, since there are no others here. Some of
    the new ones may be here already: we have put them there ourselves."""
    if folder.backfill_min_uid:
        return False
    new: list[range] = []
    if selected.uidnext > folder.uidnext_done:
        new = existing(client, folder.uidnext_done, selected.uidnext - 1)
    ahead = held[bisect_left(held, folder.uidnext_done) :]
    count = selected.exists - sum(len(one) for one in new)
    return count == len(held) - len(ahead) and all(any(uid in one for one in new) for uid in ahead)


def bury(run_: Run, folder: Folder, uids: Sequence[int]) -> None:
    """In a write job. Their rows stay for one more whole pass, since they may turn up in another folder."""
    for at in range(0, len(uids), 400):
        some = uids[at : at + 400]
        where = f"WHERE folder_id = ? AND uidvalidity = ? AND uid IN ({marks(len(some))})"
        run_.counts.removed += run(
            f"UPDATE messages SET gone_at = ?, updated_at = ? {where} AND gone_at IS NULL",
            run_.now, run_.now, folder.id, folder.uidvalidity, *some,
        )  # fmt: skip
        run(f"DELETE FROM quarantined {where}", folder.id, folder.uidvalidity, *some)
    if run_.all_mail is not None:
        run_.relabelled |= show_uids(run_.all_mail, folder, uids)
