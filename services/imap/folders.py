"""The list of folders, with what each is for and, where the server tells both at once, its counters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.inbox import Role

from . import names, roles
from .protocol import Answer

STATUS_ITEMS = ("MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN")


@dataclass(frozen=True, slots=True)
class Status:
    """None is what the server did not say. Without CONDSTORE there is no `modseq`."""

    messages: int | None = None
    uidnext: int | None = None
    uidvalidity: int | None = None
    unseen: int | None = None
    modseq: int | None = None
    mailbox_id: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A folder as the server lists it. `raw_name` is its name there, `name` what people read."""

    raw_name: bytes
    name: str
    separator: str | None
    attributes: frozenset[str]  # in lower case, such as \\noselect
    role: Role
    status: Status | None = None  # None: to be asked for
    label: str | None = None  # at Gmail: it only shows the messages that have it

    @property
    def is_selectable(self) -> bool:
        return not self.attributes & {"\\noselect", "\\nonexistent"}

    @property
    def display_name(self) -> str:
        """Its last part."""
        return self.name.rsplit(self.separator, 1)[-1] if self.separator else self.name


def read_list(answer: Answer) -> list[Listed]:
    """Of LIST, with or without RETURN (STATUS …). A role belongs to one folder: attributes go before names."""
    found: dict[bytes, Listed] = {}
    for values in answer.all("LIST"):
        listed = _listed(values)
        found[listed.raw_name] = listed
    stated = read_statuses(answer)
    return _settled([_with(one, stated.get(one.raw_name)) for one in found.values()])


def read_statuses(answer: Answer) -> dict[bytes, Status]:
    return {folder_key(values[0]): _status(values[1]) for values in answer.all("STATUS") if len(values) > 1}


def folder_key(raw: bytes | None) -> bytes:
    """INBOX is the one name whose case means nothing. An unquoted NIL is a folder of that name."""
    raw = b"NIL" if raw is None else raw
    return b"INBOX" if raw.upper() == b"INBOX" else raw


def _listed(values: list[Any]) -> Listed:
    attributes = frozenset(one.decode("ascii", "replace").lower() for one in values[0])
    separator = values[1].decode("ascii", "replace") if values[1] else None
    raw = folder_key(values[2])
    name = names.decode(raw)
    return Listed(raw, name, separator, attributes, roles.role_of(name, separator, attributes))


def _with(listed: Listed, status: Status | None) -> Listed:
    if status is None:
        return listed
    return Listed(listed.raw_name, listed.name, listed.separator, listed.attributes, listed.role, status)


def _status(pairs: list[Any]) -> Status:
    told = {pairs[at].upper(): pairs[at + 1] for at in range(0, len(pairs) - 1, 2)}

    def number(name: bytes) -> int | None:
        value = told.get(name)
        return int(value) if isinstance(value, bytes) and value.isdigit() else None

    mailbox = told.get(b"MAILBOXID")
    return Status(
        number(b"MESSAGES"), number(b"UIDNEXT"), number(b"UIDVALIDITY"), number(b"UNSEEN"),
        number(b"HIGHESTMODSEQ"), mailbox[0].decode("ascii", "replace") if mailbox else None,
    )  # fmt: skip


def _settled(folders: list[Listed]) -> list[Listed]:
    """One folder a role: whoever has the attribute, else whoever is nearest to the top."""
    order = sorted(folders, key=lambda one: (roles.by_attribute(one.attributes) is None, len(one.raw_name)))
    holders: dict[Role, bytes] = {}
    for one in order:
        if one.is_selectable:
            holders.setdefault(one.role, one.raw_name)
    return [
        one if one.role is Role.CUSTOM or holders.get(one.role) == one.raw_name else _custom(one)
        for one in folders
    ]


def _custom(one: Listed) -> Listed:
    return Listed(one.raw_name, one.name, one.separator, one.attributes, Role.CUSTOM, one.status)
