"""Which processes count as alive."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from models.database import row, rows, run, write
from models.service import Instance
from services import claim as claims
from services.relay import Relay
from tests.support.database import sqlite_only
from tests.support.relay import add_config, delivering, events, state, submit, wait_for
from utils.clock import now_ms
from workers.instance import Membership


def die(member: Membership) -> None:
    """As the kernel does for a killed process."""
    member._lock.release()


def in_hand_of(relay: Relay, member: Membership) -> int:
    config = add_config()
    one = submit(relay, smtp_config_id=config)
    assert claims.claim(config, member.id, now_ms(), 1, connected=False) is not None
    return one


def test_a_member_holds_its_lock_and_leaves_nothing(relay: Relay) -> None:
    one, other = Membership(relay.policy, 60), Membership(relay.policy, 60)
    assert one.bury_the_dead() == other.bury_the_dead() == 0
    assert rows("SELECT count(*) FROM instances") == [(2,)]
    one.leave()
    assert [found.id for found in Instance.select()] == [other.id]
    assert [path.name for path in one._folder.iterdir()] == [other._lock.path.name]
    other.leave()


def test_a_free_lock_is_a_death_at_once(relay: Relay) -> None:
    dead, alive = Membership(relay.policy, 60), Membership(relay.policy, 60)
    one = in_hand_of(relay, dead)
    die(dead)
    assert alive.bury_the_dead() == 1
    assert state(one) == "queued"
    assert not dead._lock.path.exists()
    assert rows("SELECT instance_id FROM slots WHERE connections > 0") == []
    assert not dead.beat()


def test_a_missing_lock_is_a_death_and_is_not_made_anew(relay: Relay) -> None:
    dead, alive = Membership(relay.policy, 60), Membership(relay.policy, 60)
    dead._lock.path.unlink()
    alive.bury_the_dead()
    assert [one.id for one in Instance.select()] == [alive.id]
    assert list(alive._folder.iterdir()) == [alive._lock.path]


def test_a_beat_that_stands_still_is_a_death_after_the_lease(relay: Relay) -> None:
    stuck, alive = Membership(relay.policy, 1.0), Membership(relay.policy, 1.0)
    one = in_hand_of(relay, stuck)
    began = time.monotonic()
    while not alive.bury_the_dead():
        assert time.monotonic() - began < 5
        alive.beat()
        time.sleep(0.1)
    assert time.monotonic() - began >= 1.0
    assert state(one) == "queued"
    assert not stuck.beat()


def test_a_member_that_beats_is_never_buried(relay: Relay) -> None:
    one, other = Membership(relay.policy, 0.6), Membership(relay.policy, 0.6)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        assert one.beat() and other.beat()
        one.bury_the_dead()
        time.sleep(0.1)
    assert one.beat() and other.beat()


def test_what_stalls_all_alike_is_no_death(relay: Relay) -> None:
    one, other = Membership(relay.policy, 1.0), Membership(relay.policy, 1.0)
    one.beat()
    one.bury_the_dead()
    time.sleep(1.2)  # a full disk, a long lock, a stopped process group: neither can beat
    assert one.beat()
    one.bury_the_dead()
    assert other.beat()


def test_an_observer_that_has_not_beaten_yet_since_a_stall_judges_nobody(relay: Relay) -> None:
    one, other = Membership(relay.policy, 1.0), Membership(relay.policy, 1.0)
    one.bury_the_dead()
    time.sleep(1.2)
    one.bury_the_dead()
    assert other.beat()


@sqlite_only
def test_after_a_reboot_what_was_in_hand_is_unknown(relay: Relay) -> None:
    before, after = Membership(relay.policy, 60), Membership(relay.policy, 60)
    one = in_hand_of(relay, before)
    write(lambda: run("UPDATE instances SET boot_id = 'another' WHERE id = ?", before.id))
    after.bury_the_dead()
    assert events(one) == ["unknown"]
    assert row("SELECT 1 FROM instances WHERE id = ?", before.id) is None


def test_two_data_folders_on_one_database_share_their_locks(relay: Relay, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one = Membership(replace(relay.policy, data_dir=tmp_path / "a"), 60)
    other = Membership(replace(relay.policy, data_dir=tmp_path / "b"), 60)
    other.bury_the_dead()
    assert one.beat()


def test_a_process_that_was_declared_dead_asks_to_be_replaced(relay: Relay) -> None:
    lost = threading.Event()
    with delivering(relay, lease_seconds=1.0) as engine:
        engine.on_lost = lost.set
        assert engine.alive()
        write(lambda: run("DELETE FROM instances WHERE id = ?", engine.instance_id))
        assert lost.wait(5)
        assert engine.stopping and not engine.alive()
        one = submit(relay, smtp_config_id=add_config())
        time.sleep(0.3)
        assert state(one) == "queued"


def test_beats_go_on_while_the_timekeeper_is_held_up(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    with delivering(relay, lease_seconds=0.6) as engine:
        monkeypatch.setattr(engine.pool, "sweep", lambda **options: held.wait(10))
        time.sleep(1.1)
        before = row("SELECT beat FROM instances")
        wait_for(lambda: row("SELECT beat FROM instances") > before, 2)
        monkeypatch.undo()
        held.set()


def test_one_that_is_only_silent_keeps_its_connections_until_it_leaves(relay: Relay) -> None:
    """It may wake up with them still open: together with those that took their place they would be too many."""
    silent, observer = Membership(relay.policy, 0.4), Membership(relay.policy, 0.4)
    one = in_hand_of(relay, silent)
    observer.bury_the_dead()
    for _ in range(4):
        time.sleep(0.15)
        observer.beat()
        observer.bury_the_dead()
    assert state(one) == "queued"
    assert not silent.beat()
    assert rows("SELECT connections FROM slots") == [(1,)]
    silent.leave()
    assert rows("SELECT connections FROM slots") == []
    assert [one.id for one in Instance.select()] == [observer.id]


def test_one_that_was_given_up_and_then_died_keeps_nothing(relay: Relay) -> None:
    silent, observer = Membership(relay.policy, 60), Membership(relay.policy, 60)
    in_hand_of(relay, silent)
    write(lambda: run("UPDATE instances SET ended_at = ? WHERE id = ?", now_ms(), silent.id))
    observer.bury_the_dead()
    assert rows("SELECT connections FROM slots") == [(1,)]
    die(silent)
    observer.bury_the_dead()
    assert rows("SELECT connections FROM slots") == []
