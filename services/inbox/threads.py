"""Which letters belong to one conversation.

Where the server tells (THREADID, X-GM-THRID), it is believed. Elsewhere:

- a letter belongs with the one that it answers (In-Reply-To), and with others that answer the same;
- and with all that it refers to (References) or that refer to the same, as long as the base subject is the same;
- never by the subject alone.

Mail comes in any order, newest first at the beginning, and what is answered may never come. So each letter leaves keys
behind: hashes of what it answers and refers to. Who brings a key that is there joins whoever left it; who brings keys
of two conversations makes one of them. The outcome does not depend on the order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

from models.database import hold, marks, rows, run, run_values

Item = TypeVar("Item")

MOST_REFERENCES = 30  # of one letter: those at the end, which are the nearest
_MESSAGE_ID = re.compile("<[^<>\\s\0\ud800-\udfff]{1,900}>")
_AT_ONCE = 400  # parameters of a statement
_MOST_ROWS = 4_000  # of one statement: some senders give all of their mail one Message-ID


@dataclass(frozen=True, slots=True)
class Threaded:
    """What of a letter places it. Header values as they came, or as the table `letters` has them."""

    letter_id: int
    thread_id: str | None = None
    message_id: str = ""
    in_reply_to: str = ""
    references: str = ""
    base_subject: str = ""


def conversation_of(account_id: str, letter: Threaded) -> int:
    """`conversations_of` for one."""
    return conversations_of(account_id, [letter])[letter.letter_id]


def conversations_of(account_id: str, letters: Sequence[Threaded]) -> dict[int, int]:
    """The `conversation_id` of each new letter, by its id: in the write job that inserts them, before or after that.

    The id is that of a letter in it, the least. Earlier letters whose conversations these bring together are moved.
    """
    hold(f"threads {account_id}")
    clues = {one.letter_id: _clues(account_id, one) for one in letters}
    groups = _Groups()
    for letter in letters:
        groups.join(letter.letter_id, letter.letter_id)
    owners = _owners(clues, groups)
    _join_by_message_id(account_id, letters, groups)
    _leave(clues, owners)
    _move(groups)
    return {one.letter_id: groups.first(one.letter_id) for one in letters}


def forget(account_id: str, letters: Iterable[Threaded]) -> None:
    """The keys of letters that are deleted, in the same write job."""
    owned = [(key, one.letter_id) for one in letters for key in _clues(account_id, one).left]
    for some in _chunks(owned, _AT_ONCE // 2):
        keys, ids = {key for key, _ in some}, {letter_id for _, letter_id in some}
        run(
            f"DELETE FROM thread_keys WHERE key IN ({marks(len(keys))}) AND letter_id IN ({marks(len(ids))})",
            *keys, *ids,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Clues:
    """`left` is left behind for others, and looked for; `sought` is looked for alone."""

    left: tuple[int, ...]
    sought: tuple[int, ...]


def ids_in(header: str) -> list[str]:
    """The Message-IDs that a header names, with their angle brackets."""
    return _MESSAGE_ID.findall(header)


def _clues(account_id: str, letter: Threaded) -> _Clues:
    def key(*parts: str) -> int:
        data = "\0".join((account_id, *parts)).encode("utf-8", "surrogatepass")
        return int.from_bytes(blake2b(data, digest_size=8).digest(), "big", signed=True)

    if letter.thread_id:
        return _Clues((key("thread", letter.thread_id),), ())
    own, answered = ids_in(letter.message_id)[:1], ids_in(letter.in_reply_to)[:1]
    answers = [key("answers", one) for one in answered]
    referred = dict.fromkeys(answered + ids_in(letter.references)[-MOST_REFERENCES:])
    refers = [key("refers", one, letter.base_subject) for one in referred]
    sought = [key("answers", one) for one in own] + [key("refers", one, letter.base_subject) for one in own]
    return _Clues(tuple(answers + refers), tuple(sought))


class _Groups:
    """Letters that belong together, each group under the least of its ids."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}
        self.stored: set[int] = set()  # conversations that the table already has

    def first(self, member: int) -> int:
        parent = self._parent.setdefault(member, member)
        while parent != self._parent[parent]:
            self._parent[parent] = self._parent[self._parent[parent]]
            parent = self._parent[parent]
        self._parent[member] = parent
        return parent

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.first(one), self.first(other)))
        self._parent[high] = low


def _owners(clues: dict[int, _Clues], groups: _Groups) -> dict[int, int]:
    """Join the letters whose keys are the same, here or in the table. The keys that have an owner there."""
    held: dict[int, int] = {}
    keys = {key for one in clues.values() for key in (*one.left, *one.sought)}
    for some in _chunks(sorted(keys), _AT_ONCE):
        found = rows(
            "SELECT k.key, k.letter_id, l.conversation_id FROM thread_keys k JOIN letters l ON l.id = k.letter_id"
            f" WHERE k.key IN ({marks(len(some))})",
            *some,
        )
        for key, letter_id, conversation_id in found:
            held[key] = letter_id if letter_id in clues else conversation_id or letter_id
    groups.stored |= set(held.values()) - clues.keys()
    here = dict(held)
    for letter_id, one in clues.items():
        for key in one.left:
            groups.join(letter_id, here.setdefault(key, letter_id))
    for letter_id, one in clues.items():
        for key in one.sought:
            if key in here:
                groups.join(letter_id, here[key])
    return held


def _join_by_message_id(account_id: str, letters: Sequence[Threaded], groups: _Groups) -> None:
    """With the letters themselves that these answer, refer to, or are copies of."""
    wanted: dict[str, list[tuple[Threaded, bool]]] = {}  # by Message-ID: who, and whatever its subject
    for letter in letters:
        if letter.thread_id:
            continue
        answered = ids_in(letter.in_reply_to)[:1]
        named = ids_in(letter.message_id)[:1] + ids_in(letter.references)[-MOST_REFERENCES:] + answered
        for one in dict.fromkeys(named):
            wanted.setdefault(one, []).append((letter, one in answered))
    new = {one.letter_id for one in letters}
    stored = _with_message_ids(account_id, list(wanted))
    for message_id, base, conversation_id, letter_id in [
        *((ids_in(one.message_id)[:1], one.base_subject, one.letter_id, one.letter_id) for one in letters),
        *(([text], base, conversation, letter_id) for text, base, conversation, letter_id in stored),
    ]:
        for one in message_id:
            if letter_id not in new:
                groups.stored.add(conversation_id)
            for letter, whatever_subject in wanted.get(one, ()):
                if whatever_subject or letter.base_subject == base:
                    groups.join(letter.letter_id, conversation_id)


def _with_message_ids(account_id: str, message_ids: list[str]) -> Iterator[tuple[str, str, int, int]]:
    """(Message-ID, base subject, conversation, letter)"""
    for some in _chunks(message_ids, _AT_ONCE):
        yield from rows(
            "SELECT message_id, base_subject, coalesce(conversation_id, id), id FROM letters"
            f" WHERE account_id = ? AND message_id IN ({marks(len(some))}) AND thread_id IS NULL LIMIT {_MOST_ROWS}",
            account_id, *some,
        )  # fmt: skip


def _leave(clues: dict[int, _Clues], owners: dict[int, int]) -> None:
    new = {key: letter_id for letter_id, one in clues.items() for key in one.left if key not in owners}
    run_values(
        "INSERT INTO thread_keys (key, letter_id) VALUES {}"
        " ON CONFLICT (key) DO UPDATE SET letter_id = excluded.letter_id",  # its letter is gone
        sorted(new.items()),
    )


def _move(groups: _Groups) -> None:
    for conversation in groups.stored:
        first = groups.first(conversation)
        if first != conversation:
            run("UPDATE letters SET conversation_id = ? WHERE conversation_id = ?", first, conversation)


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
