"""What a pass brings, against a real server in each of its profiles."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from models.database import rows, run, write
from services.imap import select
from tests.support.dovecot import FULL, MICROSOFT, Dovecot
from tests.support.syncing import Mailbox, letter, quoted


def fill(mailbox: Mailbox, count: int, folder: str = "INBOX", first: int = 1) -> None:
    client = mailbox.server.client(mailbox.user)
    for number in range(first, first + count):
        assert client.append(folder, "", "", letter(number))[0] == "OK"
    client.logout()


def same(mailbox: Mailbox) -> None:
    assert mailbox.ours() == mailbox.theirs()


def ids(mailbox: Mailbox) -> dict[str, int]:
    return dict(
        rows(
            "SELECT l.subject, m.id FROM messages m JOIN letters l ON l.id = m.letter_id"
            " WHERE m.account_id = ? AND m.gone_at IS NULL",
            mailbox.account_id,
        )
    )


def test_the_first_pass_brings_everything(mailbox: Mailbox) -> None:
    fill(mailbox, 5)
    fill(mailbox, 2, "Sent", 100)
    counts = mailbox.sync()
    assert counts.added == 7
    assert counts.bodies == 7
    same(mailbox)
    texts = rows("SELECT text, has_body, preview FROM letters ORDER BY id")
    assert all(
        has_body and text.startswith("Text of letter") and text.strip() == shown
        for text, has_body, shown in texts
    )
    assert rows("SELECT message_count, unread_count FROM folders WHERE role = 'inbox'") == [(5, 5)]


def test_a_second_pass_over_nothing_new_does_nothing(mailbox: Mailbox) -> None:
    fill(mailbox, 3)
    mailbox.sync()
    before = ids(mailbox)
    counts = mailbox.sync()
    assert (counts.added, counts.moved, counts.changed, counts.removed) == (0, 0, 0, 0)
    assert ids(mailbox) == before


def test_fifty_unchanged_folders_cost_one_list(mailbox_on: Callable[[str], Mailbox]) -> None:
    mailbox = mailbox_on(FULL)
    client = mailbox.server.client(mailbox.user)
    for number in range(50):
        client.create(f"folder-{number}")
    client.logout()
    mailbox.sync()
    mailbox.sync()
    assert len(mailbox.commands) <= 3, mailbox.commands
    assert sum("LIST" in one for one in mailbox.commands) == 1
    same(mailbox)


def test_flags_follow(mailbox: Mailbox) -> None:
    fill(mailbox, 4)
    mailbox.sync()
    client = mailbox.server.client(mailbox.user)
    client.select("INBOX")
    client.uid("STORE", "2", "+FLAGS", "(\\Seen \\Flagged $Work)")
    client.logout()
    counts = mailbox.sync()
    assert counts.changed == 1
    same(mailbox)
    found = rows(
        "SELECT is_read, is_starred FROM messages WHERE uid = 2 AND account_id = ?", mailbox.account_id
    )
    assert [tuple(map(bool, one)) for one in found] == [(True, True)]
    assert rows("SELECT unread_count FROM folders WHERE role = 'inbox'") == [(3,)]


def test_flags_of_old_messages_follow_where_the_number_of_unread_tells(
    mailbox_on: Callable[[str], Mailbox],
) -> None:
    mailbox = mailbox_on(MICROSOFT)
    fill(mailbox, 450)
    mailbox.sync()
    client = mailbox.server.client(mailbox.user)
    client.select("INBOX")
    client.uid("STORE", "3", "+FLAGS", "(\\Seen)")
    client.logout()
    mailbox.sync()
    same(mailbox)


def test_expunged_messages_go_and_are_erased_a_pass_later(mailbox: Mailbox) -> None:
    fill(mailbox, 4)
    mailbox.sync()
    client = mailbox.server.client(mailbox.user)
    client.select("INBOX")
    client.uid("STORE", "2:3", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.logout()
    fill(mailbox, 1, first=50)
    assert mailbox.sync().removed == 2
    same(mailbox)
    assert rows("SELECT count(*) FROM messages") == [(5,)]
    mailbox.sync()
    assert rows("SELECT count(*) FROM messages") == [(3,)]
    assert rows("SELECT count(*) FROM letters") == [(3,)]


@pytest.mark.parametrize(("source", "target"), [("INBOX", "Archive"), ("Archive", "INBOX")])
def test_a_move_keeps_its_row(mailbox: Mailbox, source: str, target: str) -> None:
    fill(mailbox, 3, source)
    mailbox.sync()
    before = ids(mailbox)
    client = mailbox.server.client(mailbox.user)
    client.select(source)
    client._simple_command("UID", "MOVE", "2", target)  # type: ignore[attr-defined]
    client.logout()
    counts = mailbox.sync()
    assert (counts.moved, counts.added) == (1, 0)
    same(mailbox)
    assert ids(mailbox) == before
    mailbox.sync()
    assert ids(mailbox) == before


def test_a_copy_shares_its_letter(mailbox: Mailbox) -> None:
    fill(mailbox, 2)
    mailbox.sync()
    client = mailbox.server.client(mailbox.user)
    client.select("INBOX")
    client.uid("COPY", "1", "Archive")
    client.logout()
    counts = mailbox.sync()
    assert (counts.added, counts.bodies) == (1, 0)
    same(mailbox)
    assert rows("SELECT count(*) FROM letters") == [(2,)]


def test_a_renamed_folder_keeps_its_messages(mailbox: Mailbox) -> None:
    client = mailbox.server.client(mailbox.user)
    client.create("Work")
    client.create("Work/Old")
    fill(mailbox, 3, "Work")
    fill(mailbox, 2, "Work/Old", 10)
    mailbox.sync()
    before = ids(mailbox)
    folder_ids = dict(rows("SELECT name, id FROM folders"))
    client.rename("Work", quoted(b"B&APw-ro"))
    client.logout()
    counts = mailbox.sync()
    assert (counts.added, counts.removed) == (0, 0)
    same(mailbox)
    assert ids(mailbox) == before
    now = dict(rows("SELECT name, id FROM folders"))
    assert (now["Büro"], now["Büro/Old"]) == (folder_ids["Work"], folder_ids["Work/Old"])
    assert rows("SELECT parent_id FROM folders WHERE name = 'Büro/Old'") == [(now["Büro"],)]


def test_a_folder_that_is_gone_twice_is_erased(mailbox: Mailbox) -> None:
    client = mailbox.server.client(mailbox.user)
    client.create("Work")
    fill(mailbox, 2, "Work")
    mailbox.sync()
    client.delete("Work")
    client.logout()
    mailbox.sync()
    assert rows("SELECT missed FROM folders WHERE name = 'Work'") == [(1,)]
    mailbox.sync()
    assert rows("SELECT count(*) FROM folders WHERE name = 'Work'") == [(0,)]
    assert rows("SELECT count(*) FROM messages") == [(0,)]
    assert rows("SELECT count(*) FROM letters") == [(0,)]


def test_a_folder_that_is_missed_once_is_as_it_was(mailbox: Mailbox) -> None:
    client = mailbox.server.client(mailbox.user)
    client.create("Work")
    fill(mailbox, 2, "Work")
    mailbox.sync()
    before = ids(mailbox)
    client.rename("Work", "Elsewhere")
    client.rename("Elsewhere", "Work")
    write(lambda: run("UPDATE folders SET missed = 1 WHERE name = 'Work'"))
    mailbox.sync()
    client.logout()
    same(mailbox)
    assert ids(mailbox) == before


def test_a_folder_whose_messages_all_moved_before_it_was_deleted(mailbox: Mailbox) -> None:
    client = mailbox.server.client(mailbox.user)
    client.create("Work")
    fill(mailbox, 3, "Work")
    mailbox.sync()
    before = ids(mailbox)
    client.select("Work")
    client._simple_command("UID", "MOVE", "1:3", "Archive")  # type: ignore[attr-defined]
    client.select("INBOX")
    client.delete("Work")
    client.logout()
    assert mailbox.sync().moved == 3
    same(mailbox)
    assert ids(mailbox) == before
    mailbox.sync()
    assert ids(mailbox) == before


def test_a_change_of_uidvalidity_keeps_the_messages(mailbox: Mailbox) -> None:
    fill(mailbox, 5)
    mailbox.sync()
    before = ids(mailbox)
    mailbox.server.change_uidvalidity(mailbox.user, "INBOX", 4_000_000_000)
    fill(mailbox, 1, first=77)
    counts = mailbox.sync()
    assert (counts.added, counts.moved, counts.bodies) == (1, 5, 1)
    same(mailbox)
    assert {subject: one for subject, one in ids(mailbox).items() if subject in before} == before
    assert rows("SELECT count(*) FROM messages") == [(6,)]


def test_a_folder_made_anew_under_its_old_name(mailbox: Mailbox) -> None:
    client = mailbox.server.client(mailbox.user)
    client.create("Work")
    fill(mailbox, 3, "Work")
    mailbox.sync()
    client.delete("Work")
    client.create("Work")
    client.logout()
    fill(mailbox, 2, "Work", 30)
    mailbox.sync()
    same(mailbox)
    mailbox.sync()
    assert rows("SELECT count(*) FROM letters") == [(2,)]


def test_one_folder_alone_is_synced_when_asked_so(mailbox: Mailbox) -> None:
    fill(mailbox, 1)
    fill(mailbox, 1, "Sent", 5)
    mailbox.sync(folders=("sent",))
    assert list(ids(mailbox)) == ["Letter 5"]
    mailbox.sync()
    same(mailbox)


def test_more_than_a_window_comes_newest_first(mailbox: Mailbox) -> None:
    fill(mailbox, 1300)
    mailbox.sync()
    same(mailbox)
    newest = rows("SELECT uid FROM messages ORDER BY id LIMIT 1")
    assert newest[0][0] > 700
    assert rows("SELECT backfill_min_uid, uidnext_done FROM folders WHERE role = 'inbox'") == [(0, 1301)]


def test_what_another_hand_has_stored_already_is_left_alone(mailbox: Mailbox, server: Dovecot) -> None:
    """As a move of ours does: it inserts the row under the UID that COPYUID told."""
    fill(mailbox, 2)
    mailbox.sync()
    client = server.client(mailbox.user)
    client.select("INBOX")
    client._simple_command("UID", "MOVE", "1", "Archive")  # type: ignore[attr-defined]
    client.logout()
    uidvalidity = server.client(mailbox.user).status("Archive", "(UIDVALIDITY)")[1][0]
    assert isinstance(uidvalidity, bytes)
    value = int(uidvalidity.split(b"UIDVALIDITY ")[1].rstrip(b")"))
    before = ids(mailbox)
    write(
        lambda: run(
            "UPDATE messages SET uid = 1, uidvalidity = ?, folder_id = (SELECT id FROM folders WHERE role = 'archive')"
            " WHERE uid = 1",
            value,
        )
    )
    counts = mailbox.sync()
    assert (counts.added, counts.moved, counts.removed) == (0, 0, 0)
    same(mailbox)
    assert ids(mailbox) == before


def test_what_another_hand_has_appended_is_not_taken_for_gone(mailbox: Mailbox, server: Dovecot) -> None:
    """As a sent copy of ours is: its row is here before any pass has seen it."""
    fill(mailbox, 2, "Sent")
    mailbox.sync()
    fill(mailbox, 2, "Sent", 10)
    write(
        lambda: run(
            "INSERT INTO messages (account_id, folder_id, uidvalidity, uid, letter_id, received_at, sender, flags,"
            " is_read, is_starred, modseq, created_at, updated_at) SELECT account_id, folder_id, uidvalidity, 4,"
            " letter_id, received_at, sender, flags, is_read, is_starred, modseq, 0, 0 FROM messages WHERE uid = 2"
        )
    )
    counts = mailbox.sync()
    assert (counts.added, counts.removed) == (1, 0)
    assert sorted(mailbox.ours()["Sent"]) == [1, 2, 3, 4]
    client = server.client(mailbox.user)
    client.select("Sent")
    client.uid("STORE", "4", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.logout()
    mailbox.sync()
    same(mailbox)


def test_a_folder_that_may_not_be_looked_into_holds_up_nothing(mailbox: Mailbox, server: Dovecot) -> None:
    client = server.client(mailbox.user)
    client.create("Secret")
    fill(mailbox, 3)
    mailbox.sync()
    place = server.mail_folder(mailbox.user) / "Secret"
    mode = place.stat().st_mode
    place.chmod(0)
    try:
        client.select("INBOX")
        client.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
        client.expunge()
        mailbox.sync()
        mailbox.sync()
        assert rows("SELECT count(*) FROM messages") == [(2,)]
    finally:
        place.chmod(mode)
        client.logout()


def test_a_kept_connection_that_has_died_is_replaced(mailbox: Mailbox) -> None:
    fill(mailbox, 2)
    kept = mailbox.open()
    kept.abort()
    assert mailbox.sync(lambda run_: run_.adopt(kept)).added == 2
    same(mailbox)


def test_a_kept_connection_is_used_again(mailbox: Mailbox) -> None:
    fill(mailbox, 2)
    kept = mailbox.open()
    mailbox.open = None  # type: ignore[assignment,method-assign]
    assert mailbox.sync(lambda run_: run_.adopt(kept)).added == 2


def test_mail_that_came_while_a_kept_connection_held_the_inbox_is_found(mailbox: Mailbox) -> None:
    """Of the selected folder a server tells the counters as this connection knows them."""
    fill(mailbox, 2)
    mailbox.sync()
    kept = mailbox.open()
    select(kept, b"INBOX")
    mailbox.server.deliver(mailbox.user, letter(77))
    assert mailbox.sync(lambda run_: run_.adopt(kept)).added == 1
    same(mailbox)
    assert kept.protocol.wire.closed  # by the end of the pass: it was this one that was used
