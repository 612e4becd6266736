"""The text of letters, fetched by the numbers of its parts: many messages of the same shape at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial

from models.database import marks, rows, run, run_many
from models.inbox import Folder
from services.imap import ImapError, fetch
from services.imap.grammar import compact
from services.imap.reading import body_of
from services.sync.arrivals import fetch_some, may_be_a_message, set_aside
from services.sync.bodies import Body, body_from, limit_of, undo, wanted_parts
from services.sync.run import Looked, Run
from services.sync.structure import Leaf
from utils.clock import politely

BATCH_BYTES = 4_000_000
BATCH_MESSAGES = 100
RESUMED_AT_ONCE = 500

Wanting = tuple[int, int, list[Leaf]]  # letter, UID, the parts that are its text


def fetch_texts(run_: Run, folder: Folder, wanting: Sequence[Wanting]) -> None:
    """Newest first; each batch is committed by itself."""
    for batch in _batches(sorted(wanting, key=lambda one: -one[1])):
        run_.check()
        _fetch_batch(run_, folder, batch)


def resume(run_: Run, folder: Folder) -> None:
    """Letters whose text had not come when an earlier pass ended."""
    last = None
    while True:
        found = _bodiless(run_, folder, last)
        if not found:
            return
        last = min(letter_id for letter_id, _ in found)
        by_uid = {uid: letter_id for letter_id, uid in found}
        arrived = fetch_some(run_, folder, sorted(by_uid))
        done = [by_uid[one.uid] for one in arrived if not one.has_text]
        if done:
            run_.commit(partial(_mark_complete, done))
        fetch_texts(
            run_,
            folder,
            [(by_uid[one.uid], one.uid, wanted_parts(one.parts)) for one in arrived if one.has_text],
        )


def _mark_complete(letters: list[int]) -> None:
    run(f"UPDATE letters SET has_body = TRUE WHERE id IN ({marks(len(letters))})", *letters)


def _bodiless(run_: Run, folder: Folder, below: int | None) -> list[tuple[int, int]]:
    found = rows(
        "SELECT l.id, min(m.uid) FROM letters l JOIN messages m ON m.letter_id = l.id"
        " WHERE l.account_id = ? AND NOT l.has_body AND l.id < ? AND m.folder_id = ? AND m.uidvalidity = ?"
        " AND m.gone_at IS NULL AND NOT EXISTS (SELECT 1 FROM quarantined q WHERE q.folder_id = m.folder_id"
        " AND q.uidvalidity = m.uidvalidity AND q.uid = m.uid) GROUP BY l.id ORDER BY l.id DESC LIMIT ?",
        run_.account.id, below or 2**62, folder.id, folder.uidvalidity, RESUMED_AT_ONCE,
    )  # fmt: skip
    return [(letter_id, uid) for letter_id, uid in found]


def _batches(wanting: Sequence[Wanting]) -> Iterator[list[Wanting]]:
    """Of messages whose text is in parts of the same numbers; one with a large part is alone."""
    open_: dict[tuple[str, ...], list[Wanting]] = defaultdict(list)
    sizes: dict[tuple[str, ...], int] = defaultdict(int)
    for one in wanting:
        shape = tuple(part.section for part in one[2])
        size = sum(min(part.size, limit_of(part)) for part in one[2])
        if any(part.size > limit_of(part) for part in one[2]):
            yield [one]
            continue
        if open_[shape] and (sizes[shape] + size > BATCH_BYTES or len(open_[shape]) >= BATCH_MESSAGES):
            yield open_.pop(shape)
            sizes[shape] = 0
        open_[shape].append(one)
        sizes[shape] += size
    yield from (batch for batch in open_.values() if batch)


def _fetch_batch(run_: Run, folder: Folder, batch: Sequence[Wanting]) -> None:
    uids = [uid for _, uid, _ in batch]
    try:
        told = fetch(run_.ensure_selected(folder), compact(uids), f"UID {_sections(batch[0][2])}").messages
    except ImapError as error:
        if not may_be_a_message(run_, error):
            raise
        if len(batch) == 1:
            set_aside(run_, folder, uids[0], error)
            return
        middle = len(batch) // 2
        _fetch_batch(run_, folder, batch[:middle])
        _fetch_batch(run_, folder, batch[middle:])
        return
    come = [
        (letter_id, [(part, body_of(told[uid], part.section)) for part in parts])
        for letter_id, uid, parts in batch
        if uid in told  # else it was deleted meanwhile
    ]
    texts = [(letter_id, body_from(parts)) for letter_id, parts in politely(come, run_.others)]
    looked = [Looked(letter_id, report_of(parts)) for letter_id, parts in come]
    run_.commit(lambda: store_texts(run_, texts, looked))


def report_of(parts: Sequence[tuple[Leaf, bytes]]) -> tuple[tuple[str, bytes], ...]:
    return tuple((leaf.mime_type, undo(leaf.encoding, raw)) for leaf, raw in parts if not leaf.is_body)


def _sections(parts: Sequence[Leaf]) -> str:
    return " ".join(
        f"BODY.PEEK[{one.section}]" + (f"<0.{limit_of(one)}>" if one.size > limit_of(one) else "")
        for one in parts
    )


def store_texts(run_: Run, texts: Sequence[tuple[int, Body]], looked: list[Looked]) -> None:
    """In a write job."""
    run_many(
        "UPDATE letters SET text = ?, html = ?, preview = ?, has_body = TRUE WHERE id = ?",
        [(body.text, body.html, body.preview, letter_id) for letter_id, body in texts],
    )
    run_.counts.bodies += len(texts)
    run_.look_at(looked)
