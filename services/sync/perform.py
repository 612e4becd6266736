"""Carry out what a claim asks for, and tell how it went: on the account, and on the task if there is one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from models.inbox import Folder, Role
from services import reports
from services.imap import Client, ImapError, Reason, select
from services.imap.wire import Wire
from services.imap_endpoints import logged_in, open_account
from services.pop3 import Client as Pop3Client
from services.relay import Relay
from services.sync import leases, tasks
from services.sync.leases import Claim
from services.sync.passes import run_pass
from services.sync.pop3_pass import run_pop3_pass
from services.sync.run import CancelledError, LeaseLostError, Looked, Run
from utils.clock import monotonic

log = logging.getLogger("mailferry.sync")

LOOK_SECONDS = 0.5  # how often the database is asked whether to go on
TELL_SECONDS = 1.0  # how often progress is written

Open = Callable[[], Client]


@dataclass(slots=True)
class Performance:
    """One pass under way. `stop` and `client` may be used by other threads."""

    relay: Relay
    claim: Claim
    clock: Callable[[], int]  # ms since the epoch
    kept: Client | None = None  # a connection of before, if there is one
    stopping: bool = False
    clean: bool = False  # it came to its end
    _wire: Wire | None = None
    _looked: float = field(default_factory=monotonic)
    _told: float = 0.0
    _wanted: bool = True
    _by_folder: dict[str, list[int]] = field(default_factory=dict)

    def abort(self) -> None:
        """From another thread: whatever waits for the server ends."""
        self.stopping = True
        wire = self._wire
        if wire is not None:
            wire.abort()

    def perform(self) -> Client | None:
        """Never raises. The connection, with nobody else's hand on it, for whoever wants to keep it."""
        run_ = Run(
            self.claim.account, self.claim.lease, self.clock(), self._open, self.claim.wish, self._must_stop,
            self._tell, self.relay.delivering, self._look_at,
        )  # fmt: skip
        if self.kept is not None:
            self._wire = self.kept.protocol.wire
            run_.adopt(self.kept)
        self._by_folder = run_.by_folder
        run_.all_flags = run_.now >= self.claim.account.full_flags_at
        try:
            self._go(run_)
        except Exception as error:
            run_.close()
            self._failed(run_, error)
            return None
        self.clean = True
        whole = self.claim.wish.folders is None
        self._guarded(
            lambda: leases.release_done(
                self.claim, self.clock(), whole=whole, all_flags=whole and (run_.all_flags or run_.wish.full)
            )
        )
        if self.claim.task is not None:
            task_id = self.claim.task.id
            self._guarded(lambda: tasks.succeed(task_id, run_.counts, run_.by_folder, self.clock()))
        self._log(run_)
        return run_.take_client()

    def _go(self, run_: Run) -> None:
        if self.claim.account.protocol != "pop3":
            run_pass(run_)
            return
        open_ = partial(Pop3Client.open, on_wire=self._wired)
        with logged_in(self.relay, self.claim.account, open_) as client:
            run_pop3_pass(run_, client)

    def _look_at(self, letters: list[Looked]) -> None:
        reports.look_at(self.relay, letters, self.clock())

    def _open(self) -> Client:
        return open_account(self.relay, self.claim.account, on_wire=self._wired)

    def _wired(self, wire: Wire) -> None:
        self._wire = wire
        if self.stopping:
            wire.abort()

    def _must_stop(self) -> bool:
        if not self.stopping and monotonic() - self._looked > LOOK_SECONDS:
            self._looked = monotonic()
            self._wanted = leases.holds(self.claim) and not leases.is_cancelled(self.claim)
        return self.stopping or not self._wanted

    def _tell(self, folder: str, done: int, total: int) -> None:
        task = self.claim.task
        if task is not None and monotonic() - self._told > TELL_SECONDS:
            self._told = monotonic()
            percent = min(done * 100 // total, 99) if total else 0
            tasks.progress(task.id, percent, f"{folder}: {done} of {total} messages", self._by_folder)

    def _failed(self, run_: Run, error: Exception) -> None:
        account, now = self.claim.account.id, self.clock()
        if isinstance(error, LeaseLostError):
            log.info("action=sync_lost account=%s", account)
            return
        if self.stopping:
            self._guarded(lambda: leases.release_unused(self.claim))
            if self.claim.task is not None:
                task_id = self.claim.task.id
                self._guarded(lambda: tasks.return_to_queue(task_id))
            return
        if isinstance(error, CancelledError):
            self._cancelled(run_)
            return
        if isinstance(error, ImapError):
            detail, refused = error.detail, error.reason is Reason.AUTH
            log.warning("action=sync_failed account=%s reason=%s detail=%r", account, error.reason, detail)
        else:
            detail, refused = "an internal error; the log says more", False
            log.error("action=sync_trouble account=%s", account, exc_info=error)
        self._guarded(lambda: self._record_failure(run_, detail, refused, now))

    def _record_failure(self, run_: Run, detail: str, refused: bool, now: int) -> None:
        failures = leases.release_failed(self.claim, now, detail, refused=refused)
        if self.claim.task is not None:
            final = refused or failures >= tasks.TRIES
            tasks.fail(self.claim.task.id, detail, now, final=final, counts=run_.counts)

    def _cancelled(self, run_: Run) -> None:
        """By a person; or the account was changed or deleted under our hands: then its task is the next pass's."""
        self._guarded(lambda: leases.release_unused(self.claim))
        task = self.claim.task
        if task is not None and leases.is_cancelled(self.claim):
            self._guarded(lambda: tasks.end_cancelled(task.id, run_.counts, self.clock()))

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:  # the database is away: the lease ends with this process
            log.exception("action=sync_release_trouble account=%s", self.claim.account.id)

    def _log(self, run_: Run) -> None:
        counts = run_.counts
        log.info(
            "action=synced account=%s folders=%s added=%s moved=%s changed=%s removed=%s quarantined=%s ms=%s",
            self.claim.account.id, counts.folders, counts.added, counts.moved, counts.changed, counts.removed,
            counts.quarantined, self.clock() - run_.now,
        )  # fmt: skip


def watched(account_id: str) -> Folder | None:
    """The folder whose news are waited for: the inbox; at Gmail that is a label, and All Mail is."""
    query = Folder.select().where(
        Folder.account_id == account_id, (Folder.role == Role.INBOX) | Folder.is_all_mail
    )
    found: Folder | None = query.order_by(Folder.is_all_mail.desc(), Folder.id).first()
    return found


def begin_idle(client: Client, inbox: bytes, uidnext_done: int) -> bool:
    """Wait for news of the inbox on this connection from now on. False: there are some already, or it cannot wait."""
    if not client.has("IDLE"):
        return False
    selected = select(client, inbox)
    if selected.uidnext > uidnext_done:
        return False
    client.protocol.begin_idle()
    return True
