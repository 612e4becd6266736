"""Somebody else's hand in the same mailbox: random operations, by a client that has no code of ours in it."""

from __future__ import annotations

import imaplib
import random
from contextlib import suppress

from services.imap.names import decode, encode
from tests.support.syncing import Mailbox, folders_of, letter, quoted

SYSTEM = {b"INBOX", b"Sent", b"Drafts", b"Junk", b"Trash", b"Archive"}
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "Work"]
NAMES = ["Work", "Büro", "a & b", "日本", 'quo"ted', "back\\slash", "per%cent*"]


class Hand:
    """`did` tells what it has done, for whoever must find out what went wrong."""

    def __init__(self, mailbox: Mailbox, seed: int) -> None:
        self._mailbox = mailbox
        self._random = random.Random(seed)
        self._number = seed * 1_000_000
        self._validity = 4_000_000_000
        self._client = mailbox.server.client(mailbox.user)
        self.did: list[str] = []

    def close(self) -> None:
        with suppress(imaplib.IMAP4.error, OSError):
            self._client.logout()

    def act(self) -> None:
        weights = {
            self.append: 30, self.flag: 25, self.move: 14, self.copy: 4, self.expunge: 10, self.create: 4,
            self.rename: 4, self.delete: 2, self.change_uidvalidity: 2, self.rename_in_a_circle: 1,
        }  # fmt: skip
        try:
            self._random.choices(list(weights), list(weights.values()))[0]()
        except (
            imaplib.IMAP4.abort
        ):  # Dovecot ends a session when a folder's UIDVALIDITY has changed in the midst of it
            self._client = self._mailbox.server.client(self._mailbox.user)
            self._tell("log in again")

    # Operations. None of them fails for want of messages: then it does nothing.

    def append(self) -> None:
        folder = self._folder()
        for _ in range(self._random.choice([1, 1, 1, 2, 5, 20])):
            self._number += 1
            flags = self._random.sample(FLAGS, self._random.randrange(3))
            if self._random.random() < 0.1:  # the same letter once more
                number, body = self._number - 1, "The same"
            else:
                number, body = self._number, f"Text {self._number} " * self._random.randrange(1, 50)
            text = letter(number, body=body) if self._random.random() > 0.05 else b"\r\nno header at all\r\n"
            self._ok(self._client.append(quoted(folder), f"({' '.join(flags)})", "", text))
        self._tell("append", folder)

    def flag(self) -> None:
        if picked := self._pick():
            folder, uids = picked
            change = self._random.choice(["+FLAGS", "-FLAGS", "FLAGS"])
            flags = self._random.sample(FLAGS, self._random.randrange(1, 3))
            self._ok(self._client.uid("STORE", uids, change, f"({' '.join(flags)})"))
            self._tell("flag", folder, uids, change, *flags)

    def move(self) -> None:
        if picked := self._pick():
            folder, uids = picked
            target = self._folder()
            self._ok(self._client._simple_command("UID", "MOVE", uids, quoted(target)))  # type: ignore[attr-defined]
            self._tell("move", folder, uids, target)

    def copy(self) -> None:
        if picked := self._pick():
            folder, uids = picked
            target = self._folder()
            self._ok(self._client.uid("COPY", uids, quoted(target)))
            self._tell("copy", folder, uids, target)

    def expunge(self) -> None:
        if picked := self._pick():
            folder, uids = picked
            self._ok(self._client.uid("STORE", uids, "+FLAGS", "(\\Deleted)"))
            self._ok(self._client.expunge())
            self._tell("expunge", folder, uids)

    def create(self) -> None:
        parent = self._random.choice([b"", *self._own()])
        name = encode(self._random.choice(NAMES) + str(self._random.randrange(20)))
        made = parent + b"/" + name if parent and parent.count(b"/") < 2 else name
        with suppress(imaplib.IMAP4.error):
            self._client.create(quoted(made))
        self._tell("create", made)

    def rename(self) -> None:
        if own := self._own():
            folder = self._random.choice(own)
            to = encode(self._random.choice(NAMES) + str(self._random.randrange(100)))
            self._leave()
            self._client.rename(quoted(folder), quoted(to))
            self._tell("rename", folder, to)

    def rename_in_a_circle(self) -> None:
        """Two folders swap their names."""
        top = [one for one in self._own() if b"/" not in one]
        if len(top) >= 2:
            one, other = self._random.sample(top, 2)
            self._leave()
            for source, target in ((one, b"between"), (other, one), (b"between", other)):
                self._client.rename(quoted(source), quoted(target))
            self._tell("swap", one, other)

    def delete(self) -> None:
        own = self._own()
        leaves = [one for one in own if not any(other.startswith(one + b"/") for other in own)]
        if leaves:
            folder = self._random.choice(leaves)
            self._leave()
            self._ok(self._client.delete(quoted(folder)))
            self._tell("delete", folder)

    def change_uidvalidity(self) -> None:
        folder = self._folder()
        self._leave()
        self._validity += self._random.randrange(1, 50)
        self._mailbox.server.change_uidvalidity(self._mailbox.user, decode(folder), self._validity)
        self._tell("uidvalidity", folder, self._validity)

    # What to act on.

    def _folder(self) -> bytes:
        return self._random.choice([b"INBOX", *folders_of(self._client)])

    def _own(self) -> list[bytes]:
        return [one for one in folders_of(self._client) if one not in SYSTEM]

    def _pick(self) -> tuple[bytes, str] | None:
        """A folder, selected, and some of its messages."""
        folder = self._folder()
        self._ok(self._client.select(quoted(folder)))
        told = self._client.uid("SEARCH", "ALL")[1][0]
        uids = told.decode().split() if told else []
        if not uids:
            return None
        return folder, ",".join(
            self._random.sample(uids, min(len(uids), self._random.choice([1, 1, 2, 5, 30])))
        )

    def _leave(self) -> None:
        if self._client.state == "SELECTED":
            self._client.unselect()

    def _ok(self, answer: tuple[str, object]) -> None:
        assert answer[0] == "OK", (answer, self.did[-3:])

    def _tell(self, *what: object) -> None:
        self.did.append(" ".join(str(one) for one in what))
