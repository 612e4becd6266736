"""Whatever fails between a claim and its end, no email and no slot stays behind."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peewee import DatabaseError, OperationalError

from models.database import rows, run, write
from services import claim as claims
from services import health as health_service
from services import record
from services.relay import Relay
from services.smtp import Connection
from tests.support.relay import add_config, delivering, health, state, states, submit, wait_for
from tests.support.sink import Sink
from utils.clock import now_ms
from workers import crew, pace
from workers import hand as hand_module
from workers import worker as worker_module

database_module = sys.modules["models.database"]


def fails(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, times: int = 1) -> Callable[[], bool]:
    """Whether it has failed as often as it was to."""
    real = getattr(owner, name)
    failures = [OperationalError("database or disk is full") for _ in range(times)]

    def flaky(*args: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(*args, **options)

    monkeypatch.setattr(owner, name, flaky)
    return lambda: not failures


def no_slots() -> bool:
    return rows("SELECT 1 FROM slots WHERE connections > 0") == []


def test_a_claim_whose_emails_cannot_be_read_is_given_back(
    relay: Relay, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = add_config(sink.port, max_connections=1, hourly_limit=1)
    failed = fails(monkeypatch, hand_module, "leased_of")
    with delivering(relay, workers=1):
        one = submit(relay, smtp_config_id=config)
        wait_for(lambda: state(one) == "sent", 5)
    assert failed()
    assert no_slots()


def test_a_probe_whose_email_cannot_be_read_lets_another_try(
    relay: Relay, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = add_config(sink.port)
    write(lambda: run("UPDATE health SET failures = 1, open_until = ?", now_ms() - 1))
    fails(monkeypatch, hand_module, "leased_of")
    with delivering(relay, workers=1):
        one = submit(relay)
        wait_for(lambda: state(one) == "sent", 5)
    assert health(config).probe_instance is None


def test_giving_back_is_repeated_until_the_disk_has_room(
    relay: Relay, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_config(sink.port)
    fails(monkeypatch, hand_module, "leased_of")
    failed = fails(monkeypatch, record, "give_back", times=2)
    with delivering(relay, workers=1):
        one = submit(relay)
        wait_for(lambda: state(one) == "sent", 8)
    assert failed()


def test_a_slot_that_cannot_be_released_is_mended(
    relay: Relay, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_config(sink.port, max_connections=1, max_messages_per_connection=1)
    failed = fails(monkeypatch, health_service, "release_slot")
    with delivering(relay, workers=1):
        one = submit(relay)
        wait_for(lambda: state(one) == "sent")
        two = submit(relay)
        wait_for(lambda: state(two) == "sent", 5)
    assert failed()
    assert no_slots()


def test_a_failed_connection_whose_slot_cannot_be_released_leaves_nothing_behind(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_config(9)
    failed = fails(monkeypatch, health_service, "release_slot")
    with delivering(relay, workers=1):
        one = submit(relay)
        wait_for(failed)
        wait_for(lambda: state(one) == "queued")
        wait_for(no_slots, 5)


def test_a_fault_in_the_transport_gives_the_email_back(
    relay: Relay, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_config(sink.port, max_connections=1)
    failed = fails(monkeypatch, Connection, "send_envelope")
    with delivering(relay, workers=1):
        one = submit(relay)
        wait_for(lambda: state(one) == "sent", 5)
    assert failed()
    assert no_slots()


def test_a_connection_that_died_unseen_frees_one_slot(relay: Relay) -> None:
    """Another connection of the config is open all the while, in a slot of its own."""
    with Sink() as sink:
        config = add_config(sink.port, max_connections=5)
        with delivering(relay, workers=1) as engine:
            first = submit(relay)
            wait_for(lambda: state(first) == "sent")
            with engine.pool.changing(config):
                write(lambda: health_service.take_slot(config, engine.instance_id))
                engine.pool.slot_taken(config)
            sink.close()
            submit(relay)
            wait_for(lambda: health(config).failures)
            wait_for(lambda: not engine.hands())
            time.sleep(0.2)
            assert rows("SELECT connections FROM slots") == [(1,)]
            engine.pool.release_slot(config)


def test_mail_goes_by_the_settings_of_the_moment_of_its_claim(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sink() as old, Sink() as new:
        config = add_config(old.port)
        real, changes = claims.claim, [new.port]

        def claim(*args: Any, **options: Any) -> Any:
            if options["connected"] and changes:  # while this worker waits for its turn to write
                port = changes.pop()
                write(
                    lambda: run(
                        "UPDATE smtp_configs SET smtp_port = ?, updated_at = updated_at + 1 WHERE id = ?",
                        port, config,
                    )
                )  # fmt: skip
            return real(*args, **options)

        monkeypatch.setattr(claims, "claim", claim)
        with delivering(relay, workers=1):
            for count in range(1, 6):
                submit(relay)
                wait_for(lambda count=count: states().get("sent") == count)  # type: ignore[misc]
        assert (old.accepted, new.accepted) == (1, 4)


def test_a_stop_gives_back_what_is_claimed_and_ends_in_time(relay: Relay) -> None:
    with Sink() as silent:
        silent.hooks.on_connect = lambda: "<silence>"
        add_config(silent.port)
        one = submit(relay)
        with delivering(relay, workers=1) as engine:
            wait_for(lambda: state(one) == "sending")
            began = time.monotonic()
            engine.drain(0.2)
            assert time.monotonic() - began < 6
            assert state(one) == "queued"
            assert rows("SELECT 1 FROM instances") == []
        silent.drop_connections()
        for worker in engine.workers:  # it was left at a connection that nothing of ours could shut
            worker.join(5)
            assert not worker.is_alive()


def test_a_stop_waits_for_no_polite_end(relay: Relay, tmp_path: Path) -> None:
    with Sink() as sink:
        add_config(sink.port, max_connections=4)
        with delivering(relay, workers=4) as engine:
            for _ in range(40):
                submit(relay)
            wait_for(lambda: states().get("sent") == 40)
            began = time.monotonic()
            engine.drain(10)
            assert time.monotonic() - began < 3


def test_a_further_batch_that_cannot_be_read_is_given_back(
    relay: Relay, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_config(sink.port, max_connections=1)
    monkeypatch.setattr(pace, "LARGEST", 5)
    monkeypatch.setattr(pace, "WORTH_A_CLAIM", 5)
    real, calls = hand_module.leased_of, iter(range(100))

    def flaky(claim: Any) -> Any:
        if next(calls) == 1:
            raise OperationalError("disk I/O error")
        return real(claim)

    monkeypatch.setattr(hand_module, "leased_of", flaky)
    for _ in range(20):
        submit(relay)
    with delivering(relay, workers=1):
        wait_for(lambda: states() == {"sent": 20}, 5)
    assert sink.accepted == 20


def test_damage_met_while_claiming_shows_in_ready(
    relay: Relay, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[Exception] = []
    monkeypatch.setattr(worker_module.health_checks, "note", noted.append)
    real, broken = claims.candidates, [True]

    def candidates(now: int) -> Any:
        if broken:
            broken.clear()
            raise DatabaseError("database disk image is malformed")
        return real(now)

    monkeypatch.setattr(claims, "candidates", candidates)
    add_config(sink.port)
    with delivering(relay, workers=1):
        one = submit(relay)
        wait_for(lambda: noted)
        wait_for(lambda: state(one) == "sent", 5)
    assert "malformed" in str(noted[0])


def test_a_connection_gives_way_to_more_urgent_mail_of_another_account(
    relay: Relay, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "LARGEST", 5)
    monkeypatch.setattr(pace, "WORTH_A_CLAIM", 5)
    full = property(lambda crowd: crowd._all > 0)  # so that only the end of one delivery lets another begin
    monkeypatch.setattr(crew.Crowd, "is_full", full)
    slow, urgent = add_config(sink.port, name="slow"), add_config(sink.port, name="urgent")
    sink.hooks.on_data = lambda message: time.sleep(0.02)
    for _ in range(60):
        submit(relay, smtp_config_id=slow, priority=3)
    with delivering(relay, workers=1):
        wait_for(lambda: states().get("sent", 0) >= 3)
        one = submit(relay, smtp_config_id=urgent, priority=1)
        wait_for(lambda: state(one) == "sent")
        assert states()["sent"] < 50
        wait_for(lambda: states() == {"sent": 61})


def test_it_says_whether_mail_is_on_its_way(relay: Relay) -> None:
    with Sink(delay=0.5) as slow, delivering(relay, workers=1):
        add_config(slow.port)
        assert not relay.delivering()
        one = submit(relay)
        wait_for(relay.delivering, 5)
        assert state(one) != "sent"
        wait_for(lambda: state(one) == "sent", 5)
        wait_for(lambda: not relay.delivering(), 5)
