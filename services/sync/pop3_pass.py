"""A pass over a POP3 account: one folder, to which new mail is added. Nothing is changed or deleted on the server.

POP3 knows no flags, and deletes mail for its own reasons (another client fetched it): what was brought here stays here.
A message is known by its UID there (RFC 1939, 7), of which ours is a hash. It comes whole, for POP3 knows no parts, but
only its text is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b

from models.database import rows, run, run_many
from models.inbox import Folder, Role
from services.imap import ImapError, Reason
from services.pop3 import Client
from services.sync.arrivals import TRUSTED_FAILURES, Arrived, insert_quarantined, release_quarantined
from services.sync.bodies import Body, body_from
from services.sync.erase import erase_letters
from services.sync.headers import read_headers, sent_date
from services.sync.run import Looked, Run, log
from services.sync.store import store
from services.sync.texts import report_of, store_texts
from services.sync.whole import Whole, read_whole
from utils.clock import politely

INBOX = b"INBOX"
UIDVALIDITY = 1
LARGEST = 50_000_000  # bytes of a message that is fetched whole; of a larger one so many lines are
LINES = 3_000
BATCH_MESSAGES = 20  # of a write job
BATCH_BYTES = 4_000_000
MOST_REFUSED = 5  # messages in a row; more, and the server is in trouble
_NOT_NOW = {"IN-USE", "LOGIN-DELAY", "SYS/TEMP"}  # RFC 2449, 3206

New = tuple[int, str, int]  # number, UID on the server, bytes


@dataclass(frozen=True, slots=True)
class Come:
    arrived: Arrived
    body: Body
    report: tuple[tuple[str, bytes], ...]


def run_pop3_pass(run_: Run, client: Client) -> None:
    """ImapError when the server fails us, PassEndedError when it is not to go on."""
    if run_.wish.full:
        release_quarantined(run_)
    folder = _inbox(run_)
    uids, sizes = client.uids(), client.sizes()
    new = _new(folder, uids, sizes)
    run_.counts.folders = 1
    run_.expect(folder.name, len(new))
    for some in _batches(_read(run_, client, folder, new)):
        run_.commit(partial(_store, run_, folder, some))
        run_.progress(folder.name, len(some))
    run_.commit(partial(_finish, run_, folder, [uid_of(one) for one in uids.values()]))


def uid_of(server_uid: str) -> int:
    """63 bits: what the column holds."""
    return int.from_bytes(blake2b(server_uid.encode(), digest_size=8).digest(), "big") >> 1


def _inbox(run_: Run) -> Folder:
    def job() -> Folder:
        folder: Folder | None = Folder.get_or_none(
            Folder.account_id == run_.account.id, Folder.raw_name == INBOX
        )
        return folder or Folder.create(
            account_id=run_.account.id, raw_name=INBOX, name="INBOX", role=Role.INBOX, uidvalidity=UIDVALIDITY
        )

    return run_.commit(job)


def _new(folder: Folder, uids: dict[int, str], sizes: dict[int, int]) -> list[New]:
    """Newest first. What was deleted here is known, too: it must not come again."""
    known = {
        one[0]
        for one in rows(
            "SELECT uid FROM messages WHERE folder_id = ? UNION SELECT uid FROM quarantined WHERE folder_id = ?",
            folder.id, folder.id,
        )
    }  # fmt: skip
    found = {}
    for number, uid in uids.items():
        if uid_of(uid) not in known:  # two copies may have the same UID: the later is taken
            found[uid] = (number, uid, sizes.get(number, 0))
    return sorted(found.values(), reverse=True)


def _read(run_: Run, client: Client, folder: Folder, new: Sequence[New]) -> Iterator[Come]:
    """Those that cannot be had are set aside, once the server has shown with another that it is in order."""
    refused: list[tuple[int, ImapError]] = []
    for number, server_uid, size in politely(new, run_.others):
        run_.check()
        try:
            whole = _fetch(run_, client, number, size)
        except ImapError as error:
            if not _may_be_the_message(run_, error):
                raise
            refused.append((uid_of(server_uid), error))
            if not client.is_open:
                _set_aside(run_, folder, refused)
                raise
            if len(refused) > MOST_REFUSED and run_.account.failures < TRUSTED_FAILURES:
                raise
            continue
        _set_aside(run_, folder, refused)
        yield Come(_arrived(run_, server_uid, size, whole), body_from(whole.texts), report_of(whole.texts))
    _set_aside(run_, folder, refused)


def _may_be_the_message(run_: Run, error: ImapError) -> bool:
    if error.code in _NOT_NOW:
        return False
    if error.is_answer or error.reason is Reason.TOO_LARGE:
        return True
    return run_.account.failures >= TRUSTED_FAILURES


def _set_aside(run_: Run, folder: Folder, refused: list[tuple[int, ImapError]]) -> None:
    for uid, error in refused:
        log.warning("action=quarantined account=%s folder=%s uid=%s", run_.account.id, folder.id, uid)
        run_.commit(partial(insert_quarantined, run_, folder, uid, str(error)))
        run_.counts.quarantined += 1
    refused.clear()


def _fetch(run_: Run, client: Client, number: int, size: int) -> Whole:
    if size <= LARGEST:
        return read_whole(_checked(run_, client.message(number)))
    whole = read_whole(_checked(run_, client.head(number, LINES)))
    *others, last = whole.leaves  # the one that was cut off
    return replace(whole, leaves=[*others, replace(last, size=last.size + max(size - whole.size, 0))])


def _checked(run_: Run, blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        run_.check()
        yield block


def _arrived(run_: Run, server_uid: str, size: int, whole: Whole) -> Arrived:
    headers = read_headers(whole.raw_header)
    at = received_at(headers.raw) or headers.sent_at or run_.now
    return Arrived(
        uid=uid_of(server_uid), flags=[], received_at=min(at, run_.now), size=size or whole.size, modseq=0,
        headers=headers, parts=whole.leaves, server_id=server_uid, thread_id=None,
    )  # fmt: skip


def _batches(come: Iterable[Come]) -> Iterator[list[Come]]:
    """What has come is not lost when the connection is."""
    batch: list[Come] = []
    try:
        for one in come:
            batch.append(one)
            if len(batch) >= BATCH_MESSAGES or sum(some.arrived.size for some in batch) >= BATCH_BYTES:
                yield batch
                batch = []
    except ImapError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def received_at(header: str) -> int | None:
    """When the last server took it, which is what the first Received says (RFC 5321, 4.4)."""
    text = "\n" + header.replace("\r\n", "\n")
    _, found, rest = text.partition("\nReceived:")
    if not found:
        return None
    lines = rest.split("\n")
    folded = [lines[0], *_folded(lines[1:])]
    return sent_date(" ".join(folded).rpartition(";")[2].strip())


def _folded(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith((" ", "\t")):
            return
        yield line


def _store(run_: Run, folder: Folder, some: list[Come]) -> None:
    come = {one.arrived.uid: one for one in some}
    done = store(run_, folder, [one.arrived for one in some])
    run_.counts.added += done.added
    wanting = [(letter_id, come[arrived.uid]) for letter_id, arrived in done.wanting]
    store_texts(
        run_,
        [(letter_id, one.body) for letter_id, one in wanting],
        [Looked(letter_id, one.report) for letter_id, one in wanting],
    )


def _finish(run_: Run, folder: Folder, there: list[int]) -> None:
    """Of what was deleted here, forget what the server has no more: it cannot come again."""
    gone = rows(
        "SELECT id, uid, letter_id FROM messages WHERE folder_id = ? AND gone_at IS NOT NULL", folder.id
    )
    still = set(there)
    over = [(message_id, letter_id) for message_id, uid, letter_id in gone if uid not in still]
    run_many("DELETE FROM messages WHERE id = ?", [(message_id,) for message_id, _ in over])
    erase_letters(run_.account.id, [letter_id for _, letter_id in over])
    run(
        "UPDATE folders SET synced_at = ?, message_count = (SELECT count(*) FROM messages m WHERE m.folder_id ="
        " folders.id AND m.gone_at IS NULL), unread_count = (SELECT count(*) FROM messages m WHERE m.folder_id ="
        " folders.id AND m.gone_at IS NULL AND NOT m.is_read) WHERE id = ?",
        run_.now, folder.id,
    )  # fmt: skip
