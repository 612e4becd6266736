"""Changes of a message at Gmail: a move between folders is one of labels here, but for spam and trash.

A message is known by the id of its row in All Mail and by one id under each label; whichever is named in a request goes
on to name it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from models.database import run
from models.inbox import Folder, Letter, Message
from services.imap import Client, select
from services.imap.labels import find_by_id, store_labels, user_labels
from services.sync.views import show


def real_of(message: Message) -> Message:
    """The message that lies on the server, if this is what a label shows of it."""
    return message if message.view_of is None else Message.get_by_id(message.view_of)


def relabel(
    client: Client, message: Message, real: Message, labels: Sequence[str] | None, target: Folder | None
) -> Folder | None:
    """`labels`: all that its user wants; `target`: where it is to go. The folder that it is still to be moved to.

    The real one's folder is selected. ImapError when the server fails or refuses.
    """
    here = user_labels(real.labels or [])
    add = _without(labels, here) if labels is not None else []
    drop = _without(here, labels) if labels is not None else []
    source, lies_in = Folder.get_by_id(message.folder_id), Folder.get_by_id(real.folder_id)
    stays = target is not None and lies_in.is_all_mail and (target.label is not None or target.is_all_mail)
    if target is not None and stays:
        add += _without([target.label] if target.label else [], add)
        drop += _without([source.label] if source.label else [], drop)
    for sign, some in (("+", add), ("-", drop)):
        if some:
            store_labels(client, real.uid, sign, some)
    return None if stays else target


def move(client: Client, real: Message, target: Folder) -> tuple[Folder, int | None]:
    """To spam or trash, or from there to a label. Where it lies then, with its UID if the server can tell."""
    moved = client.move([real.uid], bytes(target.raw_name))
    if target.label is None and moved is not None:
        return target, moved.get(real.uid)
    place = target
    if target.label is not None:  # what COPYUID tells is its UID under the label
        place = Folder.get(Folder.account_id == real.account_id, Folder.is_all_mail)
    select(client, bytes(place.raw_name))
    return place, find_by_id(client, str(Letter.get_by_id(real.letter_id).server_id))


# Inside write jobs.


def follow(message: Message, real: Message, target: Folder | None) -> Message:
    """The row that was named goes to where the message is now. The row of what lies on the server."""
    if message.id == real.id or target is None or not Message.get_or_none(Message.id == message.id):
        return real
    if target.label is not None and Folder.get_by_id(real.folder_id).is_all_mail:
        _move_view(message.id, real.id, target.id)
        return real
    return _become_real(message.id, real)


def shown(real: Message) -> set[int]:
    """Its views, as its labels are now. The folders whose content has changed."""
    place = Folder.get_or_none(Folder.account_id == real.account_id, Folder.is_all_mail)
    return show(place.id, [real.id]) if place is not None else set()


def add_label(real: Message, label: str) -> None:
    """Until the next sync has asked which it has."""
    labels = json.dumps(sorted({*(real.labels or []), label}))
    run("UPDATE messages SET labels = ? WHERE id = ?", labels, real.id)


def _move_view(view_id: int, real_id: int, folder_id: int) -> None:
    run("DELETE FROM messages WHERE view_of = ? AND folder_id = ? AND id <> ?", real_id, folder_id, view_id)
    run("UPDATE messages SET folder_id = ? WHERE id = ?", folder_id, view_id)


def _become_real(view_id: int, real: Message) -> Message:
    """It is no longer under that label: the view takes the place of the message itself, whose own row goes."""
    run("DELETE FROM messages WHERE id = ?", real.id)
    run("UPDATE messages SET view_of = ? WHERE view_of = ? AND id <> ?", view_id, real.id, view_id)
    run(
        "UPDATE messages SET view_of = NULL, folder_id = ?, uidvalidity = ?, uid = ? WHERE id = ?",
        real.folder_id, real.uidvalidity, real.uid, view_id,
    )  # fmt: skip
    found: Message = Message.get_by_id(view_id)
    return found


def _without(some: Sequence[str], others: Sequence[str]) -> list[str]:
    known = {one.lower() for one in others}
    return [one for one in some if one.lower() not in known]
