"""Moving a message on its server, and finding out where it is then."""

from __future__ import annotations

from models.inbox import Folder, Letter, Message
from services.errors import MailServerError
from services.imap import Client, ImapError, fetch, select, string

_MOST_NEW = 50  # messages among which it is looked for


def move(client: Client, message: Message, target: Folder) -> int | None:
    """Its UID there. None where the server does not tell (UIDPLUS), and it is not certain which of what is new there
    it is: others may have its Message-ID, which its sender chose. ImapError when it is where it was."""
    raw_name = bytes(target.raw_name)
    uidnext = 1 if client.has("UIDPLUS") else client.status(raw_name).uidnext or 1
    moved = _moved(client, message.uid, raw_name)
    if moved is not None:
        return moved.get(message.uid)
    try:
        return _found(client, message, raw_name, uidnext)
    except ImapError:  # it has been moved all the same
        return None


def _moved(client: Client, uid: int, raw_name: bytes) -> dict[int, int] | None:
    if client.has("MOVE"):
        return client.move([uid], raw_name)
    copied = client.copy([uid], raw_name)
    try:
        client.delete([uid])
    except ImapError as error:
        if not error.is_answer:
            raise
        raise MailServerError(f"it was copied, but the mail server keeps the original: {error}") from error
    return copied


def _found(client: Client, message: Message, raw_name: bytes, uidnext: int) -> int | None:
    letter = Letter.get_or_none(Letter.id == message.letter_id)
    if letter is None:
        return None
    select(client, raw_name)
    criteria: list[str | bytes] = ["UID", f"{uidnext}:*"]
    if letter.message_id.isascii() and letter.message_id.isprintable():
        criteria += ["HEADER", "Message-ID", string(letter.message_id)]
    new = [uid for uid in client.search(*criteria) if uid >= uidnext][:_MOST_NEW]
    if not new:
        return None
    told = fetch(client, ",".join(map(str, new)), "UID RFC822.SIZE").messages
    same = [uid for uid in new if told.get(uid, {}).get(b"RFC822.SIZE") == str(letter.size).encode()]
    return same[0] if len(same) == 1 else None
