"""One pass over an account: whose it is, its connection, and the lease without which nothing of it is stored."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from models.account import Account
from models.database import FOR_KEY_SHARE, row, write
from models.inbox import Folder
from services.imap import Client, ImapError, Reason, Selected, select
from services.imap.reading import enable_qresync

T = TypeVar("T")
log = logging.getLogger("mailferry.sync")

MOST_CONNECTIONS = 50  # of one pass: a message that ends them is found by halving

Open = Callable[[], Client]
Report = Callable[[str, int, int], None]  # a folder's name, messages read of it, messages to read


class PassEndedError(Exception):
    """Nothing more is to be done for the account: it was cancelled, or somebody else's lease holds."""


class LeaseLostError(PassEndedError):
    pass


class CancelledError(PassEndedError):
    pass


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a pass. `full`: compare all, and try again what is quarantined. `folders`: ids, names or roles;
    None: all of them."""

    full: bool = False
    folders: tuple[str, ...] | None = None


@dataclass(slots=True)
class Counts:
    """What a pass did."""

    added: int = 0
    moved: int = 0
    changed: int = 0
    removed: int = 0
    quarantined: int = 0
    folders: int = 0
    bodies: int = 0


@dataclass(frozen=True, slots=True)
class Looked:
    """A letter whose text has come. `parts`: what a report holds beside it, (type, bytes without their encoding)."""

    letter_id: int
    parts: tuple[tuple[str, bytes], ...] = ()


def _quiet(folder: str, done: int, total: int) -> None:
    pass


@dataclass(slots=True)
class Run:
    """`now`: when it began. `stop` is asked between steps; `look_at` gets the letters whose
    text has come, inside the write job that stores it."""

    account: Account
    lease: int
    now: int
    open: Open
    wish: Wish = field(default_factory=Wish)
    stop: Callable[[], bool] = lambda: False
    report: Report = _quiet
    others: Callable[[], bool] = lambda: False  # whether other work should get its turn now and then
    look_at: Callable[[list[Looked]], None] = lambda letters: None
    counts: Counts = field(default_factory=Counts)
    selected_id: int | None = None
    all_flags: bool = False  # compare those of every message, where the server cannot tell what changed
    lacking: dict[int, list[int]] = field(
        default_factory=dict
    )  # by folder, UIDs below the cursor that are not here
    all_mail: int | None = None  # at Gmail: the folder whose messages are shown under their labels
    relabelled: set[int] = field(
        default_factory=set
    )  # folders of labels that have changed since they were counted
    expected: int = 0  # messages to come, as far as the server's counters tell
    by_folder: dict[str, list[int]] = field(default_factory=dict)  # name -> [messages that came, to come]
    arrived: int = 0
    adopted: bool = False  # the connection is one of before
    _client: Client | None = None
    _opened: int = 0

    @property
    def client(self) -> Client:
        """Opened when it is first needed, and again when it was lost."""
        if self._client is None or not self._client.is_open:
            self._opened += 1
            self.selected_id = None
            self._client = self.open()
            self._client.qresync = enable_qresync(self._client)
        return self._client

    def adopt(self, client: Client) -> None:
        """A connection of before."""
        self._client, self._opened, self.adopted = client, 1, True

    @property
    def client_lives(self) -> bool:
        return self._client is not None and self._client.is_open

    @property
    def may_reopen(self) -> bool:
        return self._opened < MOST_CONNECTIONS

    def concerns_folder(self, error: ImapError) -> bool:
        """The server answers, but not for this folder: it is gone, broken, or none of ours. The others go on."""
        return error.reason is Reason.REJECTED and self.client_lives

    def take_client(self) -> Client | None:
        """For whoever keeps it from here on."""
        client, self._client = self._client, None
        return client if client is not None and client.is_open else None

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def select(self, folder: Folder) -> Selected:
        client = self.client
        self.selected_id = None
        selected = select(client, bytes(folder.raw_name))
        self.selected_id = folder.id
        return selected

    def ensure_selected(self, folder: Folder) -> Client:
        """After a new connection, or when another folder was looked at. ImapError when its UIDs have changed."""
        client = self.client
        if self.selected_id != folder.id:
            selected = self.select(folder)
            if selected.uidvalidity != folder.uidvalidity:
                raise FolderChangedError(folder.name)
        return client

    def expect(self, folder: str, count: int) -> None:
        if count:
            self.by_folder[folder] = [0, count]
            self.expected += count

    def progress(self, folder: str, count: int) -> None:
        self.arrived += count
        come = self.by_folder.setdefault(folder, [0, 0])
        come[0] += count
        come[1] = max(come)
        self.report(folder, self.arrived, max(self.expected, self.arrived))

    def check(self) -> None:
        if self.stop():
            raise CancelledError

    def commit(self, work: Callable[[], T]) -> T:
        """Write, if the account is still ours. LeaseLostError if it is not."""

        def job() -> T:
            held = row(
                f"SELECT 1 FROM accounts WHERE id = ? AND lease = ? AND deleted_at IS NULL {FOR_KEY_SHARE}",
                self.account.id, self.lease,
            )  # fmt: skip
            if held is None:
                raise LeaseLostError
            return work()

        return write(job)


class FolderChangedError(Exception):
    """It has other UIDs than when we began: the next pass takes it up afresh."""
