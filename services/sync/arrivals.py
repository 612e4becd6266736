"""New mail of a folder, a window of UIDs at a time. What cannot be read is found by halving, and set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.database import run, run_values
from models.inbox import Folder
from services.imap import Client, ImapError, Reason, fetch
from services.imap.grammar import compact
from services.imap.labels import CAPABILITY, read_labels
from services.imap.reading import body_of, internal_date
from services.sync.bodies import wanted_parts
from services.sync.headers import LONGEST_HEADER, Headers, read_headers
from services.sync.identity import server_ids
from services.sync.run import PassEndedError, Run, log
from services.sync.structure import Leaf, leaves
from utils.clock import politely

TRUSTED_FAILURES = 2  # passes that failed in a row, after which a lost connection may be a message's doing
# The server is in trouble, or busy: no message is to blame.
_NOT_NOW = {"UNAVAILABLE", "SERVERBUG", "INUSE", "LIMIT", "OVERQUOTA", "CONTACTADMIN"}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as it was fetched, its text not yet. `flags`: sorted, without \\Recent."""

    uid: int
    flags: list[str]
    received_at: int
    size: int
    modseq: int
    headers: Headers
    parts: list[Leaf]
    server_id: str | None
    thread_id: str | None
    labels: list[str] | None = None  # Gmail's

    @property
    def has_text(self) -> bool:
        """Whether there is more to fetch."""
        return bool(wanted_parts(self.parts))


def fetch_window(run_: Run, folder: Folder, first: int, last: int) -> list[Arrived]:
    """The messages whose UIDs are between the two."""
    return _halved(run_, folder, first, last, f"{first}:{last}")


def fetch_some(run_: Run, folder: Folder, uids: Sequence[int]) -> list[Arrived]:
    """The same for single ones."""
    return _halved(run_, folder, uids[0], uids[-1], compact(uids)) if uids else []


def _halved(run_: Run, folder: Folder, first: int, last: int, uids: str) -> list[Arrived]:
    run_.check()
    try:
        client = run_.ensure_selected(folder)
        told = fetch(client, uids, _items(run_, client)).messages
    except ImapError as error:
        if not may_be_a_message(run_, error):
            raise
        if first == last:
            set_aside(run_, folder, first, error)
            return []
        middle = (first + last) // 2
        return [
            *_halved(run_, folder, first, middle, f"{first}:{middle}"),
            *_halved(run_, folder, middle + 1, last, f"{middle + 1}:{last}"),
        ]
    return _arrived(run_, folder, {uid: one for uid, one in told.items() if first <= uid <= last})


def may_be_a_message(run_: Run, error: ImapError) -> bool:
    """Whether one of the messages asked for may be what ails the server, or what we cannot read of its answer."""
    if not run_.may_reopen or error.code in _NOT_NOW:
        return False
    if error.reason in (Reason.REJECTED, Reason.PROTOCOL, Reason.TOO_LARGE):
        return True
    lost = error.reason in (Reason.CLOSED, Reason.TIMEOUT)
    return lost and run_.account.failures >= TRUSTED_FAILURES


def set_aside(run_: Run, folder: Folder, uid: int, error: Exception) -> None:
    """Only if the server answers for the message otherwise: else it is the server that is in trouble."""
    there = fetch(run_.ensure_selected(folder), str(uid), "UID FLAGS").messages
    if uid in there:
        quarantine(run_, folder, uid, str(error))


def quarantine(run_: Run, folder: Folder, uid: int, reason: str) -> None:
    log.warning("action=quarantined account=%s folder=%s uid=%s", run_.account.id, folder.id, uid)
    run_.commit(lambda: insert_quarantined(run_, folder, uid, reason))
    run_.counts.quarantined += 1


def insert_quarantined(run_: Run, folder: Folder, uid: int, reason: str) -> None:
    run_values(
        "INSERT INTO quarantined (account_id, folder_id, uidvalidity, uid, reason, created_at) VALUES {}"
        " ON CONFLICT (folder_id, uidvalidity, uid) DO NOTHING",
        [(run_.account.id, folder.id, folder.uidvalidity, uid, reason[:1_000], run_.now)],
    )


def release_quarantined(run_: Run) -> None:
    """A full pass tries them again."""
    run_.commit(lambda: run("DELETE FROM quarantined WHERE account_id = ?", run_.account.id))


def _items(run_: Run, client: Client) -> str:
    items = [
        "UID",
        "FLAGS",
        "INTERNALDATE",
        "RFC822.SIZE",
        "BODYSTRUCTURE",
        f"BODY.PEEK[HEADER]<0.{LONGEST_HEADER}>",
    ]
    if client.has_condstore:
        items.append("MODSEQ")
    if client.has("OBJECTID"):
        items += ["EMAILID", "THREADID"]
    if client.has(CAPABILITY):
        items += ["X-GM-MSGID", "X-GM-THRID"]
    if run_.all_mail is not None:
        items.append("X-GM-LABELS")
    return " ".join(items)


def _arrived(run_: Run, folder: Folder, told: dict[int, dict[bytes, Any]]) -> list[Arrived]:
    """Without those that only spoke up in between: a change of flags comes unasked."""
    found = []
    for uid, one in politely(sorted(told.items()), run_.others):
        if b"BODYSTRUCTURE" not in one and b"RFC822.SIZE" not in one:
            continue
        try:
            found.append(_one(run_, uid, one))
        except PassEndedError:
            raise
        except Exception as error:  # whatever is in it, it must not hold up the others
            quarantine(run_, folder, uid, f"it cannot be read: {type(error).__name__}: {error}")
    return found


def _one(run_: Run, uid: int, told: dict[bytes, Any]) -> Arrived:
    server_id, thread_id = server_ids(told)
    return Arrived(
        uid=uid,
        flags=read_flags(told),
        received_at=internal_date(told.get(b"INTERNALDATE")) or run_.now,
        size=int(told[b"RFC822.SIZE"]),
        modseq=read_modseq(told),
        headers=read_headers(body_of(told, "HEADER")),
        parts=leaves(told[b"BODYSTRUCTURE"]),
        server_id=server_id,
        thread_id=thread_id,
        labels=read_labels(told),
    )


def read_flags(told: dict[bytes, Any]) -> list[str]:
    names = {
        (one or b"NIL").decode("utf-8", "replace") for one in told[b"FLAGS"] if not isinstance(one, list)
    }
    return sorted(one for one in names if one.lower() != "\\recent")


def read_modseq(told: dict[bytes, Any]) -> int:
    """0 where the server keeps none."""
    value = told.get(b"MODSEQ")
    return int(value[0]) if value else 0
