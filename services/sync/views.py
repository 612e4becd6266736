"""Gmail's labels as folders: a message of All Mail has a row in the folder of each label that it has.

Such a row is a view: it has the flags, UID and letter of the message that it shows, and lives as long as that has the
label. So lists, counts and filters of a label are read as those of any other folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from models.database import marks, rows, run, run_many, run_values
from models.inbox import Folder
from services.imap.labels import unlisted

_AT_ONCE = 400
_COLUMNS = (
    "id, account_id, folder_id, uidvalidity, uid, letter_id, received_at, sender, flags, is_read, is_starred, modseq,"
    " labels, gone_at, created_at, updated_at"
)
_MIRRORED = ("uidvalidity", "uid", "flags", "is_read", "is_starred", "modseq", "labels", "updated_at")


@dataclass(frozen=True, slots=True)
class Real:
    """A message that lies in a folder of the server's."""

    id: int
    account_id: str
    folder_id: int
    values: dict[str, Any]

    @property
    def labels(self) -> list[str]:
        return json.loads(self.values["labels"] or "[]") if self.values["gone_at"] is None else []


def views_of(folder: Folder) -> set[int]:
    """The folders that show its messages under their labels."""
    if not folder.is_all_mail:
        return set()
    found = rows("SELECT id FROM folders WHERE account_id = ? AND label IS NOT NULL", folder.account_id)
    return {one[0] for one in found}


def show(all_mail_id: int, message_ids: Sequence[int]) -> set[int]:
    """In a write job: the views of these messages, as their labels now say. The folders whose content changed."""
    touched: set[int] = set()
    for at in range(0, len(message_ids), _AT_ONCE):
        touched |= _show(all_mail_id, _real(message_ids[at : at + _AT_ONCE]))
    return touched


def show_uids(all_mail_id: int, folder: Folder, uids: Iterable[int]) -> set[int]:
    """The same for messages of a folder, by their UIDs."""
    ids: list[int] = []
    told = list(uids)
    for at in range(0, len(told), _AT_ONCE):
        some = told[at : at + _AT_ONCE]
        ids += [one[0] for one in rows(
            f"SELECT id FROM messages WHERE folder_id = ? AND uidvalidity = ? AND uid IN ({marks(len(some))})",
            folder.id, folder.uidvalidity, *some,
        )]  # fmt: skip
    return show(all_mail_id, ids)


def _real(message_ids: Sequence[int]) -> list[Real]:
    names = _COLUMNS.replace(" ", "").split(",")
    found = rows(
        f"SELECT {_COLUMNS} FROM messages WHERE id IN ({marks(len(message_ids))}) AND view_of IS NULL",
        *message_ids,
    )
    return [Real(one[0], one[1], one[2], dict(zip(names, one, strict=True))) for one in found]


def _show(all_mail_id: int, real: Sequence[Real]) -> set[int]:
    here = _views(real)
    wanted = _wanted(all_mail_id, real)
    surplus = {key: view_id for key, view_id in here.items() if key not in wanted}
    missing = {key: one for key, one in wanted.items() if key not in here}
    touched = {folder_id for _, folder_id in (*here, *wanted)}
    _take_along(surplus, missing, here)
    run_many("DELETE FROM messages WHERE id = ?", [(view_id,) for view_id in surplus.values()])
    run_many(
        f"UPDATE messages SET {', '.join(f'{name} = ?' for name in _MIRRORED)} WHERE id = ?",
        [
            (*(wanted[key].values[name] for name in _MIRRORED), view_id)
            for key, view_id in here.items()
            if key in wanted
        ],
    )
    _insert(missing)
    return touched


def _take_along(
    surplus: dict[tuple[int, int], int],
    missing: dict[tuple[int, int], Real],
    here: dict[tuple[int, int], int],
) -> None:
    """A message that lost one label and got another was moved: its row goes along, with its id."""
    by_message: dict[int, list[tuple[int, int]]] = {}
    for key in missing:
        by_message.setdefault(key[0], []).append(key)
    for key in list(surplus):
        if to := by_message.get(key[0]):
            here[to[0]] = surplus.pop(key)
            run("UPDATE messages SET folder_id = ? WHERE id = ?", to[0][1], here[to[0]])
            del missing[to.pop(0)]


def _views(real: Sequence[Real]) -> dict[tuple[int, int], int]:
    """By message and folder, the row."""
    found = rows(
        f"SELECT view_of, folder_id, id FROM messages WHERE view_of IN ({marks(len(real))})",
        *(one.id for one in real),
    )
    return {(view_of, folder_id): view_id for view_of, folder_id, view_id in found}


def _wanted(all_mail_id: int, real: Sequence[Real]) -> dict[tuple[int, int], Real]:
    shown = [one for one in real if one.folder_id == all_mail_id]
    if not shown:
        return {}
    folders = _folders(shown[0].account_id, {label for one in shown for label in one.labels})
    return {(one.id, folders[label]): one for one in shown for label in one.labels}


def _folders(account_id: str, labels: set[str]) -> dict[str, int]:
    """By label; for one that the server does not list, a folder is made."""
    found = dict(rows("SELECT label, id FROM folders WHERE account_id = ? AND label IS NOT NULL", account_id))
    for label in sorted(labels - found.keys()):
        listed = unlisted(label)
        found[label] = Folder.create(
            account_id=account_id, raw_name=listed.raw_name, name=listed.name, separator=listed.separator,
            role=listed.role, label=label,
        ).id  # fmt: skip
    return found


def _insert(missing: dict[tuple[int, int], Real]) -> None:
    names = [one for one in _COLUMNS.replace(" ", "").split(",") if one not in ("id", "folder_id", "gone_at")]
    run_values(
        f"INSERT INTO messages (folder_id, view_of, {', '.join(names)}) VALUES {{}}"
        " ON CONFLICT (folder_id, uidvalidity, uid) DO UPDATE SET view_of = excluded.view_of,"
        " letter_id = excluded.letter_id",
        [(folder_id, real_id, *(one.values[name] for name in names)) for (real_id, folder_id), one in missing.items()],
    )  # fmt: skip
