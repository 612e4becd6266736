"""The folders of an account, as the server lists them now: new ones, renamed ones, and those that are gone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.database import rows, run
from models.inbox import Folder, Role
from services.imap import ImapError, Listed, Status, fetch, select
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
    names = {one.raw_name for one in listed}
    missing = [one for name, one in known.items() if name not in names]
    new = [one for one in listed if one.raw_name not in known]
    renamed = _renames(run_, missing, new) if missing and new else {}
    for folder_id in run_.commit(lambda: _store(run_, listed, known, renamed)):
        _erase(run_, folder_id)
    found = {bytes(one.raw_name): one for one in Folder.select().where(Folder.account_id == run_.account.id)}
    return [Found(found[one.raw_name], one) for one in listed if one.raw_name in found]


def _listed(run_: Run) -> list[Listed]:
    """A connection that was kept may have died unnoticed: that is no failure of the server."""
    try:
        return run_.client.folders()
    except ImapError:
        if not run_.adopted or run_.client_lives:
            raise
        run_.adopted = False
        return run_.client.folders()


def _with_status(run_: Run, listed: Listed) -> Listed:
    if listed.status is not None or not listed.is_selectable:
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
        held = renamed.get(one.raw_name) or known.pop(one.raw_name, None)
        if held is None:
            _insert(run_, one)
        else:
            _update(held, one)
    for gone in known.values():
        run("UPDATE folders SET missed = missed + 1 WHERE id = ?", gone.id)
    _set_parents(run_.account.id)
    return [gone.id for gone in known.values() if gone.missed + 1 >= MISSED_BEFORE_GONE]


def _insert(run_: Run, listed: Listed) -> None:
    status = listed.status or Status()
    Folder.create(
        account_id=run_.account.id, raw_name=listed.raw_name, name=listed.name, separator=listed.separator,
        role=listed.role, is_selectable=listed.is_selectable, mailbox_id=status.mailbox_id,
    )  # fmt: skip


def _update(folder: Folder, listed: Listed) -> None:
    mailbox = (listed.status or Status()).mailbox_id
    role = folder.role if folder.role_by_user else listed.role
    before = (bytes(folder.raw_name), folder.name, folder.separator, folder.role, folder.is_selectable,
              folder.mailbox_id, folder.missed)  # fmt: skip
    after = (listed.raw_name, listed.name, listed.separator, role, listed.is_selectable, mailbox, 0)
    if before != after:
        run(
            "UPDATE folders SET raw_name = ?, name = ?, separator = ?, role = ?, is_selectable = ?, mailbox_id = ?,"
            " missed = ? WHERE id = ?",
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
    """The inbox first, then what was sent: people look there."""
    rank = {Role.INBOX: 0, Role.SENT: 1, Role.DRAFTS: 2}
    return sorted(found, key=lambda one: (rank.get(Role(one.folder.role), 3), one.folder.id))
