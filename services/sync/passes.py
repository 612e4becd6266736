"""One pass over an account.

First what happened to the messages that are here, in all folders; then new mail: a message that was moved leaves its
folder before it is found in another. Each step is committed by itself together with its cursor, so a pass that ends
anywhere is taken up there by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from models.database import marks, row, run
from models.inbox import Folder, Role
from services.imap import ImapError, Selected
from services.sync import changes, texts
from services.sync.arrivals import Arrived, fetch_some, fetch_window, release_quarantined
from services.sync.bodies import wanted_parts
from services.sync.erase import PER_JOB, erase_former, erase_gone, gone_messages
from services.sync.listing import Found, order, take_stock
from services.sync.run import FolderChangedError, Run, log
from services.sync.store import Stored, store
from services.sync.views import views_of

WINDOW = 500  # UIDs
NEWEST = 200  # UIDs of an inbox that come before all else
WINDOW_ROWS = 200  # a window that brings fewer is followed by one twice as large
LARGEST_WINDOW = 1 << 30
ROWS_AT_ONCE = 100  # of a write job: accepting mail waits for it
LARGE_GAP = 1_000  # UIDs; what is older than so many new ones is fetched after what is new elsewhere


@dataclass(slots=True)
class Open:
    """A folder that has something to do."""

    found: Found
    folder: Folder
    selected: Selected


Step = Callable[[Run, Open], None]


def run_pass(run_: Run) -> None:
    """ImapError when the server fails us, PassEndedError when it is not to go on."""
    if run_.wish.full:
        release_quarantined(run_)
    gone = gone_messages(run_.account.id)  # before we look: what leaves later may be where we have looked
    stock = take_stock(run_)
    wanted = [one for one in order(stock) if one.listed.is_selectable and one.folder.label is None]
    if run_.wish.folders is not None:
        meant = _meant(run_, stock, run_.wish.folders)
        wanted = [one for one in wanted if one.folder.id in meant]
    due = [one for one in wanted if not _is_unchanged(run_, one)]
    run_.counts.folders = len(due)
    for found in due:
        run_.expect(found.folder.name, _expected(found))
    complete = run_.wish.folders is None
    opened = []
    for found in due:
        one = _select(run_, found)
        if one is None:
            continue
        if _try(run_, one, _update) and _try(run_, one, _take_newest):
            opened.append(one)
        else:
            complete = False
    for step in (_take_new, _take_old):
        done = [one for one in opened if _try(run_, one, step)]
        complete &= len(done) == len(opened)
        opened = done
    if complete:
        _erase_gone(run_, gone)


def _meant(run_: Run, stock: list[Found], wishes: Sequence[str]) -> set[int | None]:
    """Folders by their id, name or role. The messages of a label are in All Mail."""
    named = set(wishes) | {one.casefold() for one in wishes}
    folders = [one.folder for one in stock]
    meant = [one for one in folders if named & {str(one.id), one.name.casefold(), str(one.role)}]
    return {one.id if one.label is None else run_.all_mail for one in meant}


def _is_unchanged(run_: Run, found: Found) -> bool:
    """All counters as at the last whole pass. Without MODSEQ they say nothing about flags."""
    folder, status = found.folder, found.status
    if run_.wish.full or folder.backfill_min_uid or status.uidvalidity is None or status.modseq is None:
        return False
    listed = (folder.uidvalidity, folder.listed_uidnext, folder.listed_messages, folder.listed_modseq)
    return listed == (status.uidvalidity, status.uidnext, status.messages, status.modseq)


def _expected(found: Found) -> int:
    return max((found.status.messages or 0) - found.folder.message_count, 0)


def _try(run_: Run, one: Open, step: Step) -> bool:
    """A folder that is deleted or made anew meanwhile, or that the server fails for, is the next pass's."""
    try:
        step(run_, one)
        return True
    except FolderChangedError:
        return False
    except ImapError as error:
        if run_.concerns_folder(error):
            _log_skipped(run_, one.folder, error)
            return False
        raise


def _select(run_: Run, found: Found) -> Open | None:
    """None: it was deleted just now, is broken, or we may not look into it. That holds up nothing."""
    run_.check()
    folder = found.folder
    try:
        selected = run_.select(folder)
    except ImapError as error:
        if run_.concerns_folder(error):
            _log_skipped(run_, folder, error)
            return None
        raise
    if folder.uidvalidity != selected.uidvalidity:
        _begin_anew(run_, folder, selected)
    return Open(found, folder, selected)


def _update(run_: Run, one: Open) -> None:
    changes.update(run_, one.folder, one.selected, one.found.status.unseen)


def _log_skipped(run_: Run, folder: Folder, error: ImapError) -> None:
    log.warning("action=folder_skipped account=%s folder=%s why=%r", run_.account.id, folder.id, str(error))


def _begin_anew(run_: Run, folder: Folder, selected: Selected) -> None:
    """A new folder; or one whose UIDs all mean something else from now on. Its messages are known again as they come,
    and what is left of them then is erased."""
    if folder.uidvalidity is not None:
        log.warning("action=mailbox_reset account=%s folder=%s", run_.account.id, folder.id)
    folder.uidvalidity, folder.uidnext_done, folder.modseq_done = selected.uidvalidity, 1, 0
    folder.backfill_min_uid = folder.backfill_floor = 0
    run_.commit(lambda: folder.save(only=_CURSORS))


_CURSORS = [
    Folder.uidvalidity, Folder.uidnext_done, Folder.modseq_done, Folder.backfill_min_uid, Folder.backfill_floor,
]  # fmt: skip


# New mail.


def _take_newest(run_: Run, one: Open) -> None:
    """Of an inbox that is read for the first time, before any other folder is looked at: somebody waits for it."""
    folder = one.folder
    is_first = folder.uidnext_done == 1 and not folder.backfill_min_uid
    if (folder.role == Role.INBOX or folder.is_all_mail) and is_first and one.selected.uidnext > LARGE_GAP:
        _open_gap(run_, folder, one.selected.uidnext)
        _take_old_window(run_, folder, NEWEST)


def _take_new(run_: Run, one: Open) -> None:
    """All that came since; of a large gap the newest, and the rest is left for `_take_old`."""
    folder, end = one.folder, one.selected.uidnext
    run_.ensure_selected(folder)
    for at in range(0, len(lacking := run_.lacking.pop(folder.id, [])), WINDOW):
        _store(run_, folder, fetch_some(run_, folder, lacking[at : at + WINDOW]))
    if end - folder.uidnext_done > LARGE_GAP and not folder.backfill_min_uid:
        _open_gap(run_, folder, end)
        _take_old_window(run_, folder, WINDOW)
    while folder.uidnext_done < end:
        last = min(folder.uidnext_done + WINDOW, end) - 1
        arrived = fetch_window(run_, folder, folder.uidnext_done, last)
        folder.uidnext_done = last + 1
        _store(run_, folder, arrived)
    _count(run_, folder)


def _open_gap(run_: Run, folder: Folder, end: int) -> None:
    folder.backfill_floor, folder.backfill_min_uid, folder.uidnext_done = folder.uidnext_done, end, end
    run_.commit(lambda: folder.save(only=_CURSORS))


def _take_old(run_: Run, one: Open) -> None:
    """The rest of a gap, newest first; then the folder is as the server's was when we looked."""
    folder = one.folder
    size = WINDOW
    while folder.backfill_min_uid:
        count = _take_old_window(run_, folder, size)
        size = min(size * 2, LARGEST_WINDOW) if count < WINDOW_ROWS else WINDOW
    texts.resume(run_, folder)
    if _has_former(folder):
        while (
            run_.commit(lambda: erase_former(run_.account.id, folder.id, one.selected.uidvalidity)) >= PER_JOB
        ):
            pass
        run_.relabelled |= views_of(folder)
    _finish(run_, one)


def _take_old_window(run_: Run, folder: Folder, size: int) -> int:
    first = max(folder.backfill_min_uid - size, folder.backfill_floor)
    arrived = fetch_window(run_, folder, first, folder.backfill_min_uid - 1)
    folder.backfill_min_uid = first if first > folder.backfill_floor else 0
    _store(run_, folder, arrived)
    return len(arrived)


def _store(run_: Run, folder: Folder, arrived: list[Arrived]) -> None:
    """Rows, and with the last of them the cursor; then the text of what is new."""
    wanting = []
    for at in range(0, max(len(arrived), 1), ROWS_AT_ONCE):
        some = arrived[at : at + ROWS_AT_ONCE]
        done = run_.commit(partial(_store_some, run_, folder, some, at + ROWS_AT_ONCE >= len(arrived)))
        run_.counts.added += done.added
        run_.counts.moved += done.moved
        wanting += [(letter_id, one.uid, wanted_parts(one.parts)) for letter_id, one in done.wanting]
    run_.progress(folder.name, len(arrived))
    texts.fetch_texts(run_, folder, wanting)


def _store_some(run_: Run, folder: Folder, arrived: list[Arrived], last: bool) -> Stored:
    done = store(run_, folder, arrived)
    if last:
        folder.save(only=_CURSORS)
    return done


# The end.


def _has_former(folder: Folder) -> bool:
    return (
        row(
            "SELECT 1 FROM messages WHERE folder_id = ? AND uidvalidity <> ? LIMIT 1",
            folder.id,
            folder.uidvalidity,
        )
        is not None
    )


_COUNTS = """UPDATE folders SET
    message_count = (SELECT count(*) FROM messages m WHERE m.folder_id = folders.id AND m.gone_at IS NULL),
    unread_count = (SELECT count(*) FROM messages m WHERE m.folder_id = folders.id AND m.gone_at IS NULL
                    AND NOT m.is_read)"""


def _count(run_: Run, folder: Folder) -> None:
    ids = [folder.id, *sorted(run_.relabelled)]
    run_.relabelled.clear()
    run_.commit(lambda: run(f"{_COUNTS} WHERE id IN ({marks(len(ids))})", *ids))


def _finish(run_: Run, one: Open) -> None:
    """What the server listed before we looked: whatever came since makes the next pass look again."""
    status, folder = one.found.status, one.folder
    _count(run_, folder)
    run_.commit(
        lambda: run(
            "UPDATE folders SET listed_uidnext = ?, listed_modseq = ?, listed_messages = ?, synced_at = ? WHERE id = ?",
            status.uidnext, status.modseq, status.messages, run_.now, folder.id,
        )
    )  # fmt: skip
    if folder.is_all_mail:
        run_.commit(
            lambda: run(
                "UPDATE folders SET synced_at = ? WHERE account_id = ? AND label IS NOT NULL",
                run_.now, folder.account_id,
            )
        )  # fmt: skip


def _erase_gone(run_: Run, gone: list[int]) -> None:
    for at in range(0, len(gone), ROWS_AT_ONCE):
        run_.commit(partial(erase_gone, run_.account.id, gone[at : at + ROWS_AT_ONCE]))
