"""Gmail's extension (X-GM-EXT-1): a message lies once, in All Mail, Spam or Trash; all other folders are labels of it.

A label is named as its folder is. Gmail's own begin with a backslash: \\Inbox, \\Sent, \\Draft, \\Starred, \\Important.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from models.inbox import Role

from . import names
from .client import Client
from .folders import Listed

CAPABILITY = "X-GM-EXT-1"
SYSTEM = "\\"
_HOLDS_MAIL = frozenset({"\\all", "\\junk", "\\trash"})
_BY_ATTRIBUTE = {
    "\\sent": "\\Sent", "\\drafts": "\\Draft", "\\flagged": "\\Starred", "\\starred": "\\Starred",
    "\\important": "\\Important",
}  # fmt: skip
_ALIASES = {"\\drafts": "\\Draft", "\\flagged": "\\Starred"}  # what else Gmail has been seen to say
_ROLES = {"\\Inbox": Role.INBOX, "\\Sent": Role.SENT, "\\Draft": Role.DRAFTS}


def holds_labels(client: Client, listed: Sequence[Listed]) -> bool:
    """Users may hide All Mail from IMAP: then all folders are as with other servers."""
    return client.has(CAPABILITY) and any(is_all_mail(one) for one in listed)


def is_all_mail(listed: Listed) -> bool:
    return "\\all" in listed.attributes and listed.is_selectable


def with_labels(listed: Sequence[Listed]) -> list[Listed]:
    """Those that only show a label say which."""
    return [
        one if one.attributes & _HOLDS_MAIL or not one.is_selectable else replace(one, label=_label_of(one))
        for one in listed
    ]


def _label_of(listed: Listed) -> str:
    if listed.raw_name == b"INBOX":
        return "\\Inbox"
    told = (_BY_ATTRIBUTE.get(one) for one in sorted(listed.attributes))
    return next((one for one in told if one), listed.name)


def unlisted(label: str) -> Listed:
    """The folder of a label that is hidden from IMAP."""
    name = label.removeprefix(SYSTEM)
    role = _ROLES.get(label, Role.CUSTOM)
    return Listed(names.encode(label), name, "/", frozenset(), role, label=label)


def user_labels(labels: Sequence[str]) -> list[str]:
    """Without those that are Gmail's own."""
    return [one for one in labels if not one.startswith(SYSTEM)]


def read_labels(told: dict[bytes, Any]) -> list[str] | None:
    """Of an answer to FETCH, sorted. None where it says nothing of them."""
    value = told.get(b"X-GM-LABELS")
    if not isinstance(value, list):
        return None
    found = {names.decode(b"NIL" if one is None else one) for one in value if not isinstance(one, list)}
    return sorted({_ALIASES.get(one.lower(), one) for one in found if one})


def store_labels(client: Client, uid: int, sign: str, labels: Sequence[str]) -> None:
    """`sign`: + or -. ImapError (`rejected`) for a name that no label can have."""
    quoted = b" ".join(_quoted(one) for one in labels)
    client.protocol.run_uid("STORE", str(uid), f"{sign}X-GM-LABELS", b"(" + quoted + b")")


def find_by_id(client: Client, message_id: str) -> int | None:
    """The UID in the selected folder of what Gmail calls so."""
    if not message_id.isdigit():
        return None
    return max(client.search("X-GM-MSGID", message_id), default=None)


def _quoted(label: str) -> bytes:
    return names.quoted(names.encode(label))
