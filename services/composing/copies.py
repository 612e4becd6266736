"""Which emails an account's Sent folder is to hold, and how far that is.

A row is stored with its email, so nothing between the two can lose the copy. It is tried when the email is sent. A try
holds a lease by which a second one knows to stay away. It ends with its process, as soon as that is found dead.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from models.account import Account
from models.composition import CopyState, SentCopy
from models.database import marks, row, rows, run, write
from models.email import Event, State
from models.smtp_config import SmtpConfig
from utils.clock import DAY, HOUR, MINUTE, SECOND

ALWAYS, NEVER, AUTO = "always", "never", "auto"
CHOICES = (AUTO, ALWAYS, NEVER)

LEASE = 5 * MINUTE  # of a try, beside what its size takes
# What a dead process had sent may still be on its way into the folder, which is searched after that.
SETTLING = 5 * SECOND
FIRST_DELAY, LONGEST_DELAY = 30 * SECOND, 4 * HOUR
GIVE_UP_AFTER = 7 * DAY  # of tries
REST = 10 * MINUTE  # between looks at an email that ended unsent: a person may yet send it again
BATCH = 20  # copies that share a connection

# Submission servers that put a copy into Sent by themselves.
KEEPERS = frozenset({"smtp.gmail.com", "smtp.googlemail.com", "smtp.office365.com", "smtp-mail.outlook.com"})

_FREE = "lease = NULL, instance_id = NULL"
_SKIP_LOCKED = "/*pg FOR UPDATE OF c SKIP LOCKED*/"


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that is being made, under its lease."""

    email_id: int
    account_id: str
    lease: int
    tries: int
    created_at: int


def are_wanted(account: Account, config: SmtpConfig) -> bool:
    """POP3 knows no folders."""
    if account.protocol != "imap" or account.sent_copy == NEVER:
        return False
    return account.sent_copy == ALWAYS or config.smtp_host.lower().rstrip(".") not in KEEPERS


def expect(email_id: int, account_id: str, not_before: int, now: int) -> None:
    """Inside the write job that stores the email."""
    SentCopy.create(email_id=email_id, account_id=account_id, next_at=not_before, created_at=now)


def due_accounts(now: int, limit: int) -> list[str]:
    """Accounts with copies to be made, those that wait longest first."""
    found = rows(
        f"SELECT c.account_id, min(c.next_at) AS since FROM {_READY} GROUP BY c.account_id ORDER BY since LIMIT ?",
        now, limit,
    )  # fmt: skip
    return [account_id for account_id, _ in found]


def claim(account_id: str, now: int, instance_id: int | None = None) -> list[Copy]:
    """Some of an account's, for one connection of that process."""
    lease = secrets.randbits(62)

    def job() -> list[Copy]:
        found = rows(
            f"SELECT c.email_id, c.tries, c.created_at FROM {_READY} AND c.account_id = ? ORDER BY e.sent_at, e.id"
            f" LIMIT ? {_SKIP_LOCKED}",
            now, account_id, BATCH,
        )  # fmt: skip
        ids = [email_id for email_id, *_ in found]
        run(
            "UPDATE sent_copies SET lease = ?, instance_id = ?, next_at = ?, tries = tries + 1"
            f" WHERE email_id IN ({marks(len(ids))})",
            lease, instance_id, now + LEASE, *ids,
        )  # fmt: skip
        return [Copy(email_id, account_id, lease, tries + 1, at) for email_id, tries, at in found]

    return write(job, durable=True)


def hold(copy: Copy, now: int, more: int) -> bool:
    """Just before the copy goes out: whether it is still ours to make. The lease then lasts anew, and `more` ms."""
    return bool(write(lambda: _change(copy, "next_at = ?", now + LEASE + more), durable=True))


def end_leases_of(instance_id: int, now: int) -> None:
    """Of a process that is dead without doubt. Inside a write job."""
    run(
        f"UPDATE sent_copies SET {_FREE}, next_at = ?"
        " WHERE instance_id = ? AND state = 'waiting'",
        now + SETTLING, instance_id,
    )  # fmt: skip


def done(copy: Copy, uid: int | None, detail: str, now: int) -> None:
    """`detail` for the email's timeline."""

    def job() -> None:
        changed = _change(
            copy, f"state = ?, {_FREE}, uid = ?, error = NULL, finished_at = ?", CopyState.DONE, uid, now
        )
        if changed:
            Event.create(email_id=copy.email_id, at=now, type="copied", detail=detail)

    write(job, durable=True)


def failed(copy: Copy, error: str, now: int, *, for_good: bool = False) -> None:
    """Try again later; or never, when it is hopeless or was tried for long enough."""
    hopeless = for_good or (now - copy.created_at > GIVE_UP_AFTER and copy.tries > 10)

    def job() -> None:
        if not hopeless:
            _change(copy, f"{_FREE}, error = ?, next_at = ?", error, now + delay(copy.tries))
        elif _change(copy, f"state = ?, {_FREE}, error = ?, finished_at = ?", CopyState.FAILED, error, now):
            Event.create(email_id=copy.email_id, at=now, type="copy_failed", detail=error)

    write(job, durable=True)


def give_back(given: Sequence[Copy]) -> None:
    """Those that were not tried, through no fault of their own."""

    def job() -> None:
        for one in given:
            _change(one, f"{_FREE}, next_at = created_at, tries = tries - 1")

    write(job)


def unreachable(given: Sequence[Copy], error: str, now: int) -> None:
    """The account's server cannot be worked with: all that waits for it waits for a while."""
    if not given:
        return
    until = now + delay(max(one.tries for one in given))

    def job() -> None:
        for one in given:
            _change(one, f"{_FREE}, error = ?, next_at = ?", error, until)
        run(
            "UPDATE sent_copies SET next_at = ? WHERE account_id = ? AND state = 'waiting' AND lease IS NULL"
            " AND next_at < ?",
            until, given[0].account_id, until,
        )  # fmt: skip

    write(job)


def delay(tries: int) -> int:
    """ms until the next try: doubling, with jitter, so that a server that is back is not met by all at once."""
    longest = min(LONGEST_DELAY, FIRST_DELAY << min(tries - 1, 20))
    return round(longest * random.uniform(0.5, 1.0))


def tidy(now: int) -> int:
    """Let rest those whose email ended unsent, and forget those whose account is gone; how many."""

    def job() -> int:
        gone = run(
            "DELETE FROM sent_copies WHERE state = 'waiting' AND account_id NOT IN"
            " (SELECT id FROM accounts WHERE deleted_at IS NULL)"
        )
        rested = run(
            "UPDATE sent_copies SET next_at = ? WHERE state = 'waiting' AND next_at <= ? AND email_id IN"
            f" (SELECT id FROM emails WHERE id = sent_copies.email_id AND state IN {_UNSENT})",
            now + REST, now,
        )  # fmt: skip
        return gone + rested

    if not row("SELECT 1 FROM sent_copies WHERE state = 'waiting' LIMIT 1"):
        return 0  # the rule: no write for nothing
    changed: int = write(job)
    return changed


_READY = (
    "sent_copies c JOIN emails e ON e.id = c.email_id JOIN accounts a ON a.id = c.account_id"
    " WHERE c.state = 'waiting' AND c.next_at <= ? AND e.state = 'sent' AND a.deleted_at IS NULL AND a.is_enabled"
    " AND a.state = 'active'"
)
_UNSENT = f"('{State.FAILED}', '{State.CANCELLED}', '{State.UNKNOWN}')"


def _change(copy: Copy, changes: str, *values: object) -> int:
    return run(
        f"UPDATE sent_copies SET {changes} WHERE email_id = ? AND lease = ?",
        *values,
        copy.email_id,
        copy.lease,
    )
