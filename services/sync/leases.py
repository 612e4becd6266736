"""Who may sync an account now: one pass at a time, of one process, whichever asks first."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from models.account import Account, AccountState, SyncTask, TaskState
from models.database import FOR_UPDATE, marks, row, rows, run, write
from services.sync.run import Wish
from utils.clock import HOUR, MINUTE, SECOND

LONGEST_PAUSE = HOUR  # between two tries of an account whose server fails
NEWS_PAUSE = 2 * SECOND  # between two passes, however much news there is
FULL_FLAGS = (
    10 * MINUTE
)  # to three times as long: how often all flags are compared where the server keeps no MODSEQ
# Most accounts are made at the same moment, by an import: they must not be due at the same moment ever after.
JITTER = 0.1

_LIVING = "SELECT id FROM instances WHERE ended_at IS NULL"
_FREE = f"(a.lease IS NULL OR a.instance_id NOT IN ({_LIVING}))"
_ASKED = (
    "EXISTS (SELECT 1 FROM sync_tasks t WHERE t.account_id = a.id AND t.finished_at IS NULL"
    " AND (t.state <> 'retry' OR a.next_sync_at <= ?))"
)
_DUE = f"""a.deleted_at IS NULL AND a.is_enabled AND {_FREE}
    AND (a.is_sync_enabled AND a.state = 'active' AND a.next_sync_at <= ? OR {_ASKED})"""

# Found by indexes; the conditions above alone would look at every account, twice a second.
_LIKELY = """SELECT id FROM accounts WHERE deleted_at IS NULL AND next_sync_at <= ?
    UNION SELECT account_id FROM sync_tasks WHERE finished_at IS NULL"""


@dataclass(frozen=True, slots=True)
class Candidate:
    account_id: str
    tenant: str
    failures: int


@dataclass(frozen=True, slots=True)
class Claim:
    """An account that is ours until `release`, and the task that asked for it, if one did."""

    account: Account
    lease: int
    task: SyncTask | None

    @property
    def wish(self) -> Wish:
        task = self.task
        if task is None:
            return Wish()
        return Wish(task.full, None if task.folders is None else tuple(task.folders))


@dataclass(frozen=True, slots=True)
class Full:
    """Whose share of the threads is used up: tenants, and all accounts that failed the last time."""

    accounts: Sequence[str] = ()  # under way
    tenants: Sequence[str] = ()
    failing: bool = False


def due(now: int, limit: int, full: Full) -> list[Candidate]:
    """Those that were asked for first, then whoever waits longest."""
    found = rows(
        f"SELECT a.id, a.tenant, a.failures FROM accounts a WHERE a.id IN ({_LIKELY}) AND {_DUE}"
        f" AND a.id NOT IN ({marks(len(full.accounts))}) AND a.tenant NOT IN ({marks(len(full.tenants))})"
        f" {'AND a.failures = 0' if full.failing else ''}"
        " ORDER BY EXISTS (SELECT 1 FROM sync_tasks t WHERE t.account_id = a.id AND t.finished_at IS NULL) DESC,"
        " a.next_sync_at, a.id LIMIT ?",
        now, now, now, *full.accounts, *full.tenants, limit,
    )  # fmt: skip
    return [Candidate(*one) for one in found]


def take(account_id: str, instance_id: int, now: int) -> Claim | None:
    """None: somebody else was first."""

    def job() -> Claim | None:
        if (
            row(f"SELECT 1 FROM accounts a WHERE a.id = ? AND {_DUE} {FOR_UPDATE}", account_id, now, now)
            is None
        ):
            return None
        lease = secrets.randbits(62)
        run("UPDATE accounts SET lease = ?, instance_id = ? WHERE id = ?", lease, instance_id, account_id)
        return Claim(Account.get_by_id(account_id), lease, _start_task(account_id, now))

    return write(job)


def _start_task(account_id: str, now: int) -> SyncTask | None:
    """The oldest that is open; one that had been started is one of a process that died."""
    task: SyncTask | None = (
        SyncTask.select()
        .where(SyncTask.account_id == account_id, SyncTask.finished_at.is_null())
        .order_by(SyncTask.created_at, SyncTask.id)
        .first()
    )
    if task is not None:
        run(
            "UPDATE sync_tasks SET state = ?, started_at = coalesce(started_at, ?) WHERE id = ?",
            TaskState.STARTED, now, task.id,
        )  # fmt: skip
    return task


def holds(claim: Claim) -> bool:
    """Whether the account is still ours."""
    return row("SELECT 1 FROM accounts WHERE id = ? AND lease = ?", claim.account.id, claim.lease) is not None


def is_cancelled(claim: Claim) -> bool:
    """Whether somebody wants the task to end."""
    task = claim.task
    return task is not None and row("SELECT 1 FROM sync_tasks WHERE id = ? AND cancel", task.id) is not None


def release_done(claim: Claim, now: int, *, whole: bool, all_flags: bool) -> None:
    """After a pass that came to its end. Whatever had failed before is forgiven by a whole one alone."""
    account = claim.account
    pause = round(account.sync_interval * SECOND * random.uniform(1 - JITTER, 1 + JITTER))
    values: dict[str, object] = {"lease": None, "instance_id": None, "state": AccountState.ACTIVE}
    if whole:
        values |= {"failures": 0, "last_error": None, "last_sync_at": now, "next_sync_at": now + pause}
    if all_flags:
        values["full_flags_at"] = now + round(FULL_FLAGS * random.uniform(0, 2))
    _release(claim, values)


def release_failed(claim: Claim, now: int, detail: str, *, refused: bool) -> int:
    """Returns how many passes have failed in a row. `refused`: the login was; nobody tries it again by himself."""
    account = claim.account
    failures = account.failures + 1
    longest = max(LONGEST_PAUSE, account.sync_interval * SECOND)
    pause = min(account.sync_interval * SECOND * 2 ** min(failures - 1, 10), longest)
    values: dict[str, object] = {
        "lease": None, "instance_id": None, "failures": failures, "last_error": detail[:1_000],
        "next_sync_at": now + round(pause * random.uniform(1 - JITTER, 1 + JITTER)),
    }  # fmt: skip
    if refused and account.state == AccountState.ACTIVE:
        values["state"] = AccountState.NEEDS_REAUTH
    _release(claim, values)
    return failures


def release_unused(claim: Claim) -> None:
    """As if nobody had taken it."""
    _release(claim, {"lease": None, "instance_id": None})


def _release(claim: Claim, values: dict[str, object]) -> None:
    names = ", ".join(f"{name} = ?" for name in values)
    write(
        lambda: run(
            f"UPDATE accounts SET {names} WHERE id = ? AND lease = ?",
            *values.values(), claim.account.id, claim.lease,
        )
    )  # fmt: skip


def wake(account_id: str, now: int) -> None:
    """Due at once, for its server has told us of news; but a while after its last pass: somebody who goes through his
    mail makes news by the second."""

    def job() -> None:
        found = row("SELECT last_sync_at FROM accounts WHERE id = ?", account_id)
        at = max(now, int((found or [None])[0] or 0) + NEWS_PAUSE)
        run("UPDATE accounts SET next_sync_at = ? WHERE id = ? AND next_sync_at > ?", at, account_id, at)

    write(job)
