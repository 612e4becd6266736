"""What makes a message a reply: In-Reply-To and References (RFC 5322 3.6.4). The subject is its writer's.

Ids come from mail that anyone may have sent, so only well-formed ones go on, and no more than a header has room for.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from models.database import row
from services.errors import FieldError, InvalidInputError, NotFoundError
from services.principal import Principal

MOST_REFERENCES = 50
MOST_CHARACTERS = 8_000  # of References; the relay takes 10,000
_ID = re.compile(r"<(?:(?!=\?)[!-;=?-~]){3,800}>")  # `=?` would be taken for an encoded word
_NUMBER = re.compile(r"[0-9]{1,18}\Z", re.ASCII)

_OF_LETTER = "SELECT l.message_id, l.refs, l.in_reply_to FROM letters l"
_OF_USER = 'a.tenant = ? AND a."user" = ? AND a.deleted_at IS NULL'


class Parent(NamedTuple):
    """What a reply must know of the message it answers."""

    message_id: str
    references: str
    in_reply_to: str


def threading_headers(
    who: Principal, in_reply_to: str | None, *, may_be_gone: bool = False
) -> list[tuple[str, str]]:
    """The headers of a reply; none where the message answered has no usable id of its own.

    `in_reply_to`: the id of a message here, or a Message-ID with or without its angle brackets. NotFoundError when no
    such message is here, InvalidInputError when it is neither of the two.
    """
    if in_reply_to is None:
        return []
    parent = _parent(who, in_reply_to.strip())
    if parent is None and not may_be_gone:
        raise NotFoundError(
            f"inReplyTo: no message {in_reply_to}", code="MESSAGE_NOT_FOUND", field="inReplyTo"
        )
    own = _ids(parent.message_id)[-1:] if parent else []
    if parent is None or not own:
        return []
    earlier = _ids(parent.references)
    if not earlier:  # where it names one message alone, that is its parent
        named = _ids(parent.in_reply_to)
        earlier = named if len(named) == 1 else []
    return [("In-Reply-To", own[0]), ("References", " ".join(_shortened([*earlier, *own])))]


def check(in_reply_to: str) -> None:
    """InvalidInputError for what can be the id of no message."""
    if not _NUMBER.match(in_reply_to) and not _ID.fullmatch(_bracketed(in_reply_to)):
        message = "must be the id of a message here, or a Message-ID as in <id@example.com>"
        raise InvalidInputError.of([FieldError("inReplyTo", message, "INVALID_MESSAGE_ID")])


def _parent(who: Principal, given: str) -> Parent | None:
    check(given)
    if not _NUMBER.match(given):
        return _by_message_id(who, _bracketed(given))
    found = row(
        f"{_OF_LETTER} JOIN messages m ON m.letter_id = l.id JOIN accounts a ON a.id = m.account_id"
        f" WHERE m.id = ? AND {_OF_USER}",
        int(given), who.tenant, who.user,
    )  # fmt: skip
    return Parent(*found) if found else None


def _by_message_id(who: Principal, message_id: str) -> Parent:
    """Its references where a copy is here; a message that is not can be answered all the same."""
    found = row(
        f"{_OF_LETTER} JOIN accounts a ON a.id = l.account_id WHERE l.message_id IN (?, ?) AND {_OF_USER}"
        " ORDER BY l.id DESC LIMIT 1",
        message_id, message_id.strip("<>"), who.tenant, who.user,
    )  # fmt: skip
    return Parent(message_id, *found[1:]) if found else Parent(message_id, "", "")


def _bracketed(given: str) -> str:
    return given if given.startswith("<") or "@" not in given else f"<{given}>"


def _ids(text: str) -> list[str]:
    return _ID.findall(" ".join(map(_bracketed, text.split())))


def _shortened(ids: list[str]) -> list[str]:
    """The first, which names the thread, and as many of the last as there is room for (RFC 5537 3.4.4).

    Each once, where it stands last: messages that name one another must not make it grow.
    """
    ids = list(dict.fromkeys(reversed(ids)))[::-1]
    while len(ids) > MOST_REFERENCES or sum(map(len, ids)) + len(ids) > MOST_CHARACTERS:
        del ids[1]
    return ids
