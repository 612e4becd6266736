from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import models
from models.database import database, row, rows, run, write
from services import accept, metrics, quota, suppressions
from services.backup import BackupError, back_up
from services.relay import Relay
from services.restore import Plan, Restored, restore
from services.smtp import Connection
from services.suppressions import New
from tests.queue.making import NOW, M, change, change_recipient, ended, use
from tests.support.letters import add_folder, add_letter
from tests.support.relay import (
    SERVICE,
    add_config,
    delivering,
    email,
    events,
    recipient_states,
    state,
    submit,
    wait_for,
)
from tests.support.sink import Sink
from utils.clock import HOUR, MINUTE, now_ms
from utils.crypto import Vault, new_fernet_key
from utils.filelock import FileLock

LATER = NOW + 2 * HOUR
Lose = Callable[..., Restored]


@pytest.fixture
def lose(relay: Relay, place: Path, tmp_path: Path) -> Lose:
    """Back up, lose the database, restore it two hours later."""

    def job(plan: Plan = Plan(), later: int = LATER) -> Restored:  # noqa: B008 - it is frozen
        file = back_up(place, tmp_path / "kept", NOW)[0].file
        database.close()
        database.close_writer()
        for part in ("", "-wal", "-shm"):
            place.with_name(place.name + part).unlink(missing_ok=True)
        return restore_and_open(file, place, relay.vault, plan, later)

    return job


def restore_and_open(file: Path, place: Path, vault: Vault, plan: Plan, now: int) -> Restored:
    done = restore(file, place, vault, plan, now)
    models.bind(place)
    return done


def claimed(relay: Relay, config_id: int, dot_at: int | None = None, **fields: Any) -> int:
    email_id = submit(relay, NOW, **fields)
    change(
        email_id, state="sending", lease=7, instance_id=1, carrier_id=config_id, claimed_at=NOW, dot_at=dot_at
    )
    return email_id


def test_what_waited_is_held_for_a_person(relay: Relay, lose: Lose) -> None:
    config = add_config()
    waits, in_hand, handed_over = (
        submit(relay, NOW),
        claimed(relay, config),
        claimed(relay, config, dot_at=NOW),
    )
    done = lose()
    for one in (waits, in_hand, handed_over):
        assert state(one) == "unknown"
        assert recipient_states(one) == {"ann@example.com": "unknown"}
        assert events(one) == ["unknown"]
        now = email(one)
        assert now["lease"] is now["instance_id"] is now["dot_at"] is None and now["recipient_count"] == 0
        assert "restored from a backup of 2026-02-02T02:40:00.000Z" in now["error_message"]
    assert (done.changes.held, done.changes.resent, done.changes.untouched) == (3, 0, 0)
    assert rows("SELECT outcome, stage FROM attempts WHERE email_id = ?", handed_over) == [("unknown", "dot")]


def test_what_had_ended_stays_as_it_was(relay: Relay, lose: Lose) -> None:
    add_config()
    ends = {word: ended(relay, word) for word in ("sent", "failed", "cancelled", "unknown")}
    lose(Plan(resend=True))
    for word, one in ends.items():
        assert state(one) == word and events(one) == []


def test_recipients_that_had_it_never_get_it_again(relay: Relay, lose: Lose) -> None:
    add_config()
    half = submit(relay, NOW, to=["ann@example.com", "bob@example.com", "joe@example.com"])
    change_recipient(half, 0, state="sent")
    change_recipient(half, 1, state="failed")
    lose()
    assert list(recipient_states(half).values()) == ["sent", "failed", "unknown"]


def test_mail_whose_time_has_not_come_cannot_have_gone_and_goes_on(relay: Relay, lose: Lose) -> None:
    add_config()
    later, due = submit(relay, NOW, send_at=LATER + 1), submit(relay, NOW, send_at=LATER - 1)
    retried = submit(relay, NOW)
    change(retried, state="retry", available_at=LATER + MINUTE)
    done = lose()
    assert (state(later), state(due), state(retried)) == ("scheduled", "unknown", "retry")
    assert (done.changes.held, done.changes.untouched) == (1, 2)


def test_resend_queues_all_again_but_what_asks_to_be_held(relay: Relay, lose: Lose) -> None:
    config = add_config()
    waits, held = submit(relay, NOW), submit(relay, NOW, on_unknown="hold")
    in_hand = claimed(relay, config, dot_at=NOW, to=["ann@example.com", "bob@example.com"])
    change(in_hand, recipient_count=1)
    done = lose(Plan(resend=True))
    assert (state(waits), state(held), state(in_hand)) == ("queued", "unknown", "queued")
    assert events(waits) == events(held) == events(in_hand) == ["unknown"]
    assert email(in_hand)["recipient_count"] == 2 and email(in_hand)["lease"] is None
    assert (done.changes.held, done.changes.resent) == (1, 2)


def test_resent_mail_arrives(relay: Relay, lose: Lose) -> None:
    with Sink() as sink:
        config = add_config(sink.port)
        submit(relay, NOW), claimed(relay, config)
        lose(Plan(resend=True, trust_usage=True), now_ms())
        with delivering(relay, open_connection=Connection.open):
            sink.wait_for(2)
            wait_for(lambda: rows("SELECT DISTINCT state FROM emails") == [("sent",)])


def test_no_id_is_given_twice(relay: Relay, lose: Lose) -> None:
    config = add_config()
    last = submit(relay, NOW)
    done = lose(later=NOW + 1000 * HOUR)
    new = submit(relay, LATER)
    assert new == done.changes.next_id >= last + 1000 * 3600 * 10_000
    assert add_config() == config + 1_001


def test_no_id_of_a_message_is_given_twice(relay: Relay, lose: Lose) -> None:
    """An app may remember it, and would read or delete another one."""
    folder = add_folder("account")
    letter = add_letter("account", folder)
    lose(later=NOW + 1000 * HOUR)
    assert add_folder("account", "Later") > folder + 1_000
    assert add_letter("account", folder) > letter + 1_000 * 3600


def test_no_id_is_given_twice_where_there_was_no_email_yet(relay: Relay, lose: Lose) -> None:
    add_config()
    lose()
    assert submit(relay, LATER) > 1_000_000


def test_a_limit_counts_as_used_up_for_no_longer_than_it_may_be(relay: Relay, lose: Lose) -> None:
    config = add_config(hourly_limit=50, name="limited")
    free = add_config(name="free")
    use(config, M, 10)
    done = lose()
    assert quota.windows(config, LATER).hour_used == 50
    assert done.changes.limits == {"limited": LATER + HOUR + MINUTE}
    assert quota.windows(config, LATER + HOUR + MINUTE).hour_used == 0
    assert quota.windows(free, LATER).hour_used == 0


def test_usage_may_be_trusted(relay: Relay, lose: Lose) -> None:
    config = add_config(daily_limit=50)
    use(config, M, 10)
    assert lose(Plan(trust_usage=True)).changes.limits == {}
    assert quota.windows(config, LATER).day_used == 10


def test_nothing_is_in_doubt_where_nothing_ran(relay: Relay, lose: Lose) -> None:
    config = add_config(daily_limit=50)
    use(config, M, 10)
    waits = submit(relay, NOW)
    done = lose(Plan(nothing_ran_since=True))
    assert state(waits) == "queued" and events(waits) == []
    assert quota.windows(config, LATER).day_used == 10
    assert submit(relay, NOW) == waits + 1
    assert done.changes.untouched == 1


def test_processes_of_the_lost_relay_are_forgotten(relay: Relay, lose: Lose) -> None:
    config = add_config()
    write(
        lambda: run("INSERT INTO slots (smtp_config_id, instance_id, connections) VALUES (?, 5, 3)", config)
    )
    write(lambda: run("INSERT INTO leaders (name, instance_id) VALUES ('jobs', 5)"))
    write(
        lambda: run(
            "INSERT INTO instances (boot_id, lock_name, host, pid, started_at, beat) VALUES ('', 'x', 'h', 1, 1, 1)"
        )
    )
    write(lambda: run("UPDATE health SET probe_instance = 5"))
    lose()
    for table in ("slots", "leaders", "instances"):
        assert rows(f"SELECT * FROM {table}") == []
    assert row("SELECT probe_instance FROM health") == (None,)


def test_an_existing_database_is_never_lost(relay: Relay, place: Path, tmp_path: Path) -> None:
    add_config()
    submit(relay, NOW)
    file = back_up(place, tmp_path / "kept", NOW)[0].file
    submit(relay, NOW)
    with pytest.raises(BackupError, match="--force moves it aside"):
        restore(file, place, relay.vault, Plan(), LATER)
    assert row("SELECT count(*) FROM emails") == (2,)
    done = restore_and_open(file, place, relay.vault, Plan(force=True), LATER)
    assert row("SELECT count(*) FROM emails") == (1,)
    assert place.stat().st_mode & 0o777 == 0o600
    database.close()
    models.bind(done.moved_aside[0])
    assert row("SELECT count(*) FROM emails") == (2,), "with its log"


def test_a_log_left_behind_is_not_played_into_it(relay: Relay, lose: Lose, place: Path) -> None:
    add_config()
    submit(relay, NOW)
    log = place.with_name(place.name + "-wal").read_bytes()
    for _ in range(50):
        submit(relay, NOW)
    later = place.with_name(place.name + "-wal").read_bytes()
    assert len(later) >= len(log)
    file = back_up(place, place.parent / "kept", NOW)[0].file
    database.close()
    database.close_writer()
    place.unlink()
    place.with_name(place.name + "-wal").write_bytes(later)
    done = restore_and_open(file, place, relay.vault, Plan(), LATER)
    assert [one.name.rpartition("-")[2] for one in done.moved_aside] == ["wal"]
    assert row("PRAGMA integrity_check") == ("ok",)
    assert row("SELECT count(*) FROM emails WHERE state = 'unknown'") == (51,)


def test_a_running_relay_is_left_alone(relay: Relay, place: Path, tmp_path: Path) -> None:
    file = back_up(place, tmp_path / "kept", NOW)[0].file
    lock = FileLock(place.with_name("daemon.lock"))
    with lock:
        lock.note("4711 on here")
        with pytest.raises(BackupError, match=r"running relay .process 4711 on here.*stop it first"):
            restore(file, place, relay.vault, Plan(force=True), LATER)


def test_a_damaged_backup_changes_nothing(relay: Relay, place: Path, tmp_path: Path) -> None:
    add_config()
    for _ in range(3):
        submit(relay, NOW)
    file = back_up(place, tmp_path / "kept", NOW)[0].file
    with file.open("rb+") as handle:
        handle.seek(4096 * 5)
        handle.write(b"\xff" * 4096 * 8)
    before = sorted(one.name for one in place.parent.iterdir())
    with pytest.raises(BackupError, match="cannot be restored"):
        restore(file, place, relay.vault, Plan(force=True), LATER)
    assert row("SELECT count(*) FROM emails") == (3,)
    assert sorted(one.name for one in place.parent.iterdir()) == before


def test_a_lost_key_is_told_before_anything_is_touched(relay: Relay, place: Path, tmp_path: Path) -> None:
    add_config(password=relay.vault.encrypt("secret"))
    file = back_up(place, tmp_path / "kept", NOW)[0].file
    other = Vault([new_fernet_key()])
    with pytest.raises(BackupError, match="does not open 1 of the 1 stored passwords"):
        restore(file, tmp_path / "new" / "mailferry.db", other, Plan(), LATER)
    assert not (tmp_path / "new").exists()
    restore(file, tmp_path / "new" / "mailferry.db", other, Plan(without_key=True), LATER)
    assert (tmp_path / "new" / "mailferry.db").exists()


def test_an_older_backup_is_brought_up_to_date(relay: Relay, lose: Lose) -> None:
    add_config()
    submit(relay, NOW)
    run("DROP TABLE totals")
    run("DELETE FROM schema_migrations WHERE name = '0003_totals'")
    done = lose(Plan(resend=True))
    assert done.report.pending == ["0003_totals"]
    assert row("SELECT value FROM totals WHERE name = 'attempts_counted'") == (0,)
    assert row("SELECT state FROM emails") == ("queued",)


def test_the_total_of_accepted_mail_knows_of_the_gap(relay: Relay, lose: Lose) -> None:
    add_config()
    submit(relay, NOW)
    lose()
    submit(relay, LATER)
    assert b"mailferry_accepted_total 2.0" in metrics.render(relay, LATER)[0]


def test_a_repeated_request_is_known_after_it(relay: Relay, lose: Lose) -> None:
    add_config()
    key = accept.IdempotencyKey("k", "emails", b"x" * 32)
    email = accept.NewEmail(subject="s", to=["ann@example.com"], text="t")
    first = accept.submit(relay, SERVICE, email, NOW, key)
    lose()
    again = accept.submit(relay, SERVICE, email, LATER, key)
    assert again.replayed and again.body == first.body


def test_what_a_killed_restore_left_behind_is_cleared_away(relay: Relay, lose: Lose, place: Path) -> None:
    left = place.parent / ".restore-x"
    left.mkdir()
    (left / "mailferry.db").write_text("half")
    add_config()
    lose()
    assert [one.name for one in place.parent.iterdir() if one.name.startswith(".")] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can restore for another user")
def test_root_restores_for_the_owner_of_the_folder(relay: Relay, place: Path, tmp_path: Path) -> None:
    file = back_up(place, tmp_path / "kept", NOW)[0].file
    folder = tmp_path / "other"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    restore(file, folder / "mailferry.db", relay.vault, Plan(), LATER)
    mine = [one.name for one in folder.iterdir() if one.stat().st_uid != 65534]
    assert mine == [], "the relay can open all of it"


def test_who_was_suppressed_since_stays_so(relay: Relay, place: Path, tmp_path: Path) -> None:
    suppressions.add("", [New("old@example.com", "manual")], NOW)
    file = back_up(place, tmp_path / "kept", NOW)[0].file
    suppressions.add("acme", [New(f"x{at}@example.com", "complaint", "abuse") for at in range(1_200)], NOW)
    suppressions.remove("", "old@example.com")
    done = restore_and_open(file, place, relay.vault, Plan(force=True), LATER)
    assert (done.suppressed_since, done.suppressed_whole) == (1_200, True)
    assert suppressions.find("acme", "x7@example.com")["reason"] == "complaint"
    assert suppressions.find("", "old@example.com")["reason"] == "manual"


def test_a_damaged_database_is_replaced_all_the_same(relay: Relay, place: Path, tmp_path: Path) -> None:
    file = back_up(place, tmp_path / "kept", NOW)[0].file
    database.close()
    database.close_writer()
    place.write_bytes(b"no database" * 1_000)
    done = restore_and_open(file, place, relay.vault, Plan(force=True), LATER)
    assert (done.suppressed_since, done.suppressed_whole) == (0, False)
