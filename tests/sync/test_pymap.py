"""A server of other people's making, which names each message and folder (OBJECTID, RFC 8474)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from models.database import rows
from tests.support.pymap import Pymap
from tests.support.syncing import Mailbox
from tests.sync.test_passes import fill, ids, same


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    server = Pymap()
    try:
        yield Mailbox(server)  # type: ignore[arg-type]
    finally:
        server.stop()


def test_its_ids_are_kept(mailbox: Mailbox) -> None:
    fill(mailbox, 3)
    mailbox.sync()
    same(mailbox)
    assert rows("SELECT count(DISTINCT server_id), count(DISTINCT thread_id) FROM letters")[0][0] == 3
    assert rows("SELECT count(DISTINCT mailbox_id) = count(*) FROM folders") in ([(1,)], [(True,)])


def test_copies_share_a_letter_and_moves_keep_their_row(mailbox: Mailbox) -> None:
    fill(mailbox, 3)
    client = mailbox.server.client(mailbox.user)
    client.create("Archive")
    mailbox.sync()
    before = ids(mailbox)
    client.select("INBOX")
    uids = client.uid("SEARCH", "ALL")[1][0].split()
    client.uid("COPY", uids[0].decode(), "Archive")
    client._simple_command("UID", "MOVE", uids[1].decode(), "Archive")  # type: ignore[attr-defined]
    client.uid("STORE", uids[2].decode(), "+FLAGS", "(\\Flagged)")
    client.logout()
    counts = mailbox.sync()
    same(mailbox)
    assert (counts.added, counts.moved, counts.bodies) == (1, 1, 0)
    assert rows("SELECT count(*) FROM letters") == [(3,)]
    assert before["Letter 2"] in {one[0] for one in rows("SELECT id FROM messages WHERE gone_at IS NULL")}


def test_a_renamed_folder_is_known_by_its_id(mailbox: Mailbox) -> None:
    client = mailbox.server.client(mailbox.user)
    client.create("Work")
    fill(mailbox, 2, "Work")
    mailbox.sync()
    before = ids(mailbox)
    client.rename("Work", "Play")
    client.logout()
    counts = mailbox.sync()
    same(mailbox)
    assert (counts.added, counts.removed) == (0, 0)
    assert ids(mailbox) == before


def test_what_is_expunged_goes(mailbox: Mailbox) -> None:
    fill(mailbox, 4)
    mailbox.sync()
    client = mailbox.server.client(mailbox.user)
    client.select("INBOX")
    client.uid("STORE", client.uid("SEARCH", "ALL")[1][0].split()[1].decode(), "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.logout()
    assert mailbox.sync().removed == 1
    same(mailbox)
