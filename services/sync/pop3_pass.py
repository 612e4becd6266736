"""A pass over a POP3 account: one folder, to which new mail is added. Nothing is changed or deleted on the server.

POP3 knows no flags, and deletes mail for its own reasons (another client fetched it): what was brought here stays here.
A message is known by its UID there (RFC 1939, 7), of which ours is a hash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import blake2b
from itertools import islice

from models.database import rows, run, run_many
from models.inbox import Folder, Role
from services.imap import ImapError, Reason
from services.pop3 import Client
from services.sync.arrivals import Arrived, insert_quarantined, release_quarantined
from services.sync.bodies import body_from, wanted_parts
from services.sync.erase import erase_letters
from services.sync.headers import Headers, read_headers, sent_date
from services.sync.run import Looked, Run, log
from services.sync.store import store
from services.sync.texts import report_of, store_texts
from services.sync.whole import Piece, header_of, pieces_of

INBOX = b"INBOX"
UIDVALIDITY = 1
LARGEST = 10_000_000  # bytes of a message that is fetched whole; of a larger one so many lines are
LINES = 3_000
AT_ONCE = 20  # messages of a write job

New = tuple[int, str, int]  # number, UID on the server, bytes


def run_pop3_pass(run_: Run, client: Client) -> None:
    """ImapError when the server fails us, PassEndedError when it is not to go on."""
    if run_.wish.full:
        release_quarantined(run_)
    folder = _inbox(run_)
    uids, sizes = client.uids(), client.sizes()
    new = _new(folder, uids, sizes)
    run_.expected, run_.counts.folders = len(new), 1
    arriving = _read(run_, client, folder, new)
    while some := list(islice(arriving, AT_ONCE)):
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
    found = [(number, uid, sizes.get(number, 0)) for number, uid in uids.items() if uid_of(uid) not in known]
    return sorted(found, reverse=True)


def _read(
    run_: Run, client: Client, folder: Folder, new: Sequence[New]
) -> Iterator[tuple[Arrived, list[Piece]]]:
    for number, server_uid, size in new:
        run_.check()
        try:
            raw = _fetch(client, number, size)
        except ImapError as error:
            if error.reason is not Reason.REJECTED:
                raise
            uid = uid_of(server_uid)
            log.warning("action=quarantined account=%s folder=%s uid=%s", run_.account.id, folder.id, uid)
            run_.commit(partial(insert_quarantined, run_, folder, uid, str(error)))
            run_.counts.quarantined += 1
            continue
        pieces = pieces_of(raw)
        headers = read_headers(header_of(raw))
        yield _arrived(run_, server_uid, size or len(raw), headers, pieces), pieces


def _fetch(client: Client, number: int, size: int) -> bytes:
    return b"".join(client.message(number)) if size <= LARGEST else client.head(number, LINES)


def _arrived(run_: Run, server_uid: str, size: int, headers: Headers, pieces: list[Piece]) -> Arrived:
    at = received_at(headers.raw) or headers.sent_at or run_.now
    return Arrived(
        uid=uid_of(server_uid), flags=[], received_at=min(at, run_.now), size=size, modseq=0, headers=headers,
        parts=[leaf for leaf, _ in pieces], server_id=server_uid, thread_id=None,
    )  # fmt: skip


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


def _store(run_: Run, folder: Folder, some: list[tuple[Arrived, list[Piece]]]) -> None:
    pieces = {arrived.uid: found for arrived, found in some}
    done = store(run_, folder, [arrived for arrived, _ in some])
    run_.counts.added += done.added
    texts, looked = [], []
    for letter_id, arrived in done.wanting:
        wanted = {leaf.section for leaf in wanted_parts(arrived.parts)}
        parts = [(leaf, data) for leaf, data in pieces[arrived.uid] if leaf.section in wanted]
        texts.append((letter_id, body_from(parts)))
        looked.append(Looked(letter_id, report_of(parts)))
    store_texts(run_, texts, looked)


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
