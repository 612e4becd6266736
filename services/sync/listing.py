"""The folders of an account, as the server lists them now: new ones, renamed ones, and those that are gone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.database import rows, run
from models.inbox import Folder, Role
from services.imap import ImapError, Listed, Status, fetch, labels, select
from services.sync.erase import PER_JOB, erase_content, erase_folder
from services.sync.identity import IDENTITY_ITEMS, identity_of
from services.sync.run import Run, log

MISSED_BEFORE_GONE = 2  # passes in a row
SAMPLES = 3  # messages by which a renamed folder is known


@dataclass(frozen=True, slots=True)
class Found:
    """A folder of ours and what the server lists of it."""

    folder: Folder
    listed: Listed

    @property
    def status(self) -> Status:
        return self.listed.status or Status()


def take_stock(run_: Run) -> list[Found]:
    """One LIST, with a STATUS for each folder where the server does not tell both at once; then the rows."""
    listed = [_with_status(run_, one) for one in _listed(run_)]
    known = {bytes(one.raw_name): one for one in Folder.select().where(Folder.account_id == run_.account.id)}
    for one in _turned(listed, known):
        _begin_anew(run_, one)
    names = {one.raw_name for one in listed}
    missing = [one for name, one in known.items() if name not in names and one.label is None]
    new = [one for one in listed if one.raw_name not in known and one.label is None]
    renamed = _renames(run_, missing, new) if missing and new else {}
    for folder_id in run_.commit(lambda: _store(run_, listed, known, renamed)):
        _erase(run_, folder_id)
    found = {bytes(one.raw_name): one for one in Folder.select().where(Folder.account_id == run_.account.id)}
    run_.all_mail = next((one.id for one in found.values() if one.is_all_mail), None)
    return [Found(found[one.raw_name], one) for one in listed if one.raw_name in found]


def _listed(run_: Run) -> list[Listed]:
    """Where folders are labels, their counters say nothing that we ask for."""
    listed = _asked(run_)
    if labels.holds_labels(run_.client, listed):
        return labels.with_labels(listed)
    if run_.client.has(labels.CAPABILITY) and run_.client.has("LIST-STATUS"):
        return run_.client.folders()
    return listed


def _asked(run_: Run) -> list[Listed]:
    """A connection that was kept may have died unnoticed: that is no failure of the server."""
    try:
        return _counted(run_)
    except ImapError:
        if not run_.adopted or run_.client_lives:
            raise
        run_.adopted = False
        return _counted(run_)


def _counted(run_: Run) -> list[Listed]:
    run_.client.leave_folder()
    return run_.client.folders(counted=not run_.client.has(labels.CAPABILITY))


def _turned(listed: list[Listed], known: dict[bytes, Folder]) -> list[Folder]:
    """Folders that were synced and only show a label now, or the other way round: All Mail was shown or hidden."""
    pairs = ((one, known.get(one.raw_name)) for one in listed)
    return [held for one, held in pairs if held is not None and (one.label is None) != (held.label is None)]


def _begin_anew(run_: Run, folder: Folder) -> None:
    log.info("action=folder_turned account=%s folder=%s", run_.account.id, folder.id)
    while run_.commit(lambda: erase_content(run_.account.id, folder.id)) >= PER_JOB:
        run_.check()
    run_.commit(
        lambda: run(
            "UPDATE folders SET uidvalidity = NULL, uidnext_done = 1, modseq_done = 0, backfill_min_uid = 0,"
            " backfill_floor = 0, listed_uidnext = NULL, listed_modseq = NULL, listed_messages = NULL,"
            " message_count = 0, unread_count = 0 WHERE id = ?",
            folder.id,
        )
    )


def _with_status(run_: Run, listed: Listed) -> Listed:
    if listed.status is not None or not listed.is_selectable or listed.label is not None:
        return listed
    try:
        return replace(listed, status=run_.client.status(listed.raw_name))
    except ImapError as error:
        if run_.concerns_folder(error):
            return listed  # SELECT will tell
        raise


def _renames(run_: Run, missing: list[Folder], new: list[Listed]) -> dict[bytes, Folder]:
    """By the new name: the same id for the server, else the same UIDVALIDITY and the same messages."""
    renamed: dict[bytes, Folder] = {}
    for listed in new:
        status = listed.status
        for folder in missing:
            if status is None or folder.id in {one.id for one in renamed.values()}:
                continue
            if folder.mailbox_id and status.mailbox_id:
                same = folder.mailbox_id == status.mailbox_id
            else:
                same = folder.uidvalidity == status.uidvalidity and _holds_the_same(run_, folder, listed)
            if same:
                log.info("action=folder_renamed account=%s folder=%s", run_.account.id, folder.id)
                renamed[listed.raw_name] = folder
                break
    return renamed


def _holds_the_same(run_: Run, folder: Folder, listed: Listed) -> bool:
    samples = rows(
        "SELECT m.uid, l.message_id, l.size, m.received_at FROM messages m JOIN letters l ON l.id = m.letter_id"
        " WHERE m.folder_id = ? AND m.uidvalidity = ? AND m.gone_at IS NULL ORDER BY m.uid DESC LIMIT ?",
        folder.id, folder.uidvalidity, SAMPLES,
    )  # fmt: skip
    if not samples:
        return (listed.status or Status()).messages == 0
    run_.selected_id = None
    select(run_.client, listed.raw_name)
    there = fetch(run_.client, ",".join(str(one[0]) for one in samples), IDENTITY_ITEMS).messages
    same = [
        identity_of(there.get(uid, {})) == (message_id, size, at) for uid, message_id, size, at in samples
    ]
    return any(same) and all(same[at] or samples[at][0] not in there for at in range(len(same)))


def _erase(run_: Run, folder_id: int) -> None:
    while run_.commit(lambda: erase_content(run_.account.id, folder_id)) >= PER_JOB:
        run_.check()
    run_.commit(lambda: erase_folder(folder_id))


def _store(
    run_: Run, listed: list[Listed], known: dict[bytes, Folder], renamed: dict[bytes, Folder]
) -> list[int]:
    """Returns the folders that are gone for good."""
    for folder in renamed.values():
        known.pop(bytes(folder.raw_name), None)
    # Two names may have been swapped: each gets out of the other's way first.
    for folder in renamed.values():
        run("UPDATE folders SET raw_name = ? WHERE id = ?", b"\0%d" % folder.id, folder.id)
    for one in listed:
        held = renamed.get(one.raw_name) or known.pop(one.raw_name, None) or _of_label(known, one)
        if held is None:
            _insert(run_, one)
        else:
            _update(run_, held, one)
    lost = [gone for gone in known.values() if gone.label is None or not _shows_any(gone)]
    for gone in lost:
        run("UPDATE folders SET missed = missed + 1 WHERE id = ?", gone.id)
    _set_parents(run_.account.id)
    return [gone.id for gone in lost if gone.missed + 1 >= MISSED_BEFORE_GONE]


def _of_label(known: dict[bytes, Folder], listed: Listed) -> Folder | None:
    """A label that was hidden, or whose folder is called otherwise now: by Gmail, in another language."""
    names = [name for name, one in known.items() if listed.label is not None and one.label == listed.label]
    return known.pop(names[0]) if names else None


def _shows_any(folder: Folder) -> bool:
    """A label may be hidden from IMAP, and its messages have it all the same."""
    return bool(rows("SELECT 1 FROM messages WHERE folder_id = ? LIMIT 1", folder.id))


def _insert(run_: Run, listed: Listed) -> None:
    status = listed.status or Status()
    Folder.create(
        account_id=run_.account.id, raw_name=listed.raw_name, name=listed.name, separator=listed.separator,
        role=listed.role, is_selectable=listed.is_selectable, mailbox_id=status.mailbox_id, label=listed.label,
        is_all_mail=labels.is_all_mail(listed) and run_.client.has(labels.CAPABILITY),
    )  # fmt: skip


def _update(run_: Run, folder: Folder, listed: Listed) -> None:
    mailbox = (listed.status or Status()).mailbox_id
    role = folder.role if folder.role_by_user else listed.role
    is_all_mail = labels.is_all_mail(listed) and run_.client.has(labels.CAPABILITY)
    before = (bytes(folder.raw_name), folder.name, folder.separator, folder.role, folder.is_selectable,
              folder.mailbox_id, folder.label, folder.is_all_mail, folder.missed)  # fmt: skip
    after = (listed.raw_name, listed.name, listed.separator, role, listed.is_selectable, mailbox, listed.label,
             is_all_mail, 0)  # fmt: skip
    if before != after:
        run(
            "UPDATE folders SET raw_name = ?, name = ?, separator = ?, role = ?, is_selectable = ?, mailbox_id = ?,"
            " label = ?, is_all_mail = ?, missed = ? WHERE id = ?",
            *after, folder.id,
        )  # fmt: skip


def _set_parents(account_id: str) -> None:
    folders = rows("SELECT id, raw_name, separator, parent_id FROM folders WHERE account_id = ?", account_id)
    ids = {bytes(raw): folder_id for folder_id, raw, _, _ in folders}
    for folder_id, raw, separator, parent_id in folders:
        name = bytes(raw)
        above = name.rpartition(separator.encode())[0] if separator else b""
        parent = ids.get(above) if above else None
        if parent != parent_id:
            run("UPDATE folders SET parent_id = ? WHERE id = ?", parent, folder_id)


def order(found: list[Found]) -> list[Found]:
    """What is new in the inbox first, then what was sent: people look there."""
    rank = {Role.INBOX: 1, Role.SENT: 2, Role.DRAFTS: 3}
    return sorted(
        found,
        key=lambda one: (
            0 if one.folder.is_all_mail else rank.get(Role(one.folder.role), 4),
            one.folder.id,
        ),
    )
