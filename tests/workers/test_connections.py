"""Connections kept between emails, and the slots that they take."""

from __future__ import annotations

import time
from typing import Any

import pytest
from peewee import OperationalError

from models.database import row, run, write
from models.smtp_config import SmtpConfig
from services import health
from services.relay import Relay
from tests.support.relay import add_config, wait_for
from tests.support.sink import Sink, _Session
from workers import connections
from workers.connections import ConnectionPool

INSTANCE = 7


def slots() -> int:
    found = row("SELECT sum(connections) FROM slots")
    return int(found[0] or 0) if found else 0


def opened(pool: ConnectionPool, config: SmtpConfig) -> Any:
    """A connection for which a claim took a slot."""
    with pool.changing(config.id):
        write(lambda: health.take_slot(config.id, INSTANCE))
        pool.slot_taken(config.id)
    return pool.open(config)


@pytest.fixture
def config(relay: Relay, sink: Sink) -> SmtpConfig:
    return SmtpConfig.get_by_id(add_config(sink.port, max_messages_per_connection=2))


@pytest.fixture
def pool(relay: Relay) -> ConnectionPool:
    return ConnectionPool(relay, INSTANCE)


def test_a_connection_is_kept_for_the_next_email(pool: ConnectionPool, config: SmtpConfig) -> None:
    one = opened(pool, config)
    pool.keep(config, one)
    assert pool.take(config) is one
    assert pool.take(config) is None
    assert slots() == 1


def test_a_connection_is_closed_after_its_number_of_messages(
    pool: ConnectionPool, config: SmtpConfig, sink: Sink
) -> None:
    one = opened(pool, config)
    one.used = 2
    pool.keep(config, one)
    assert pool.take(config) is None
    assert slots() == 0
    wait_for(lambda: sink.open_now == 0)


def test_a_connection_that_was_never_had_frees_its_slot(pool: ConnectionPool, config: SmtpConfig) -> None:
    opened(pool, config)
    assert slots() == 1
    pool.keep(config, None)
    assert slots() == 0


def test_a_connection_that_died_in_the_pool_is_not_handed_out(
    pool: ConnectionPool, config: SmtpConfig, sink: Sink
) -> None:
    pool.keep(config, opened(pool, config))
    sink.drop_connections()
    wait_for(lambda: sink.open_now == 0)
    assert pool.take(config) is None
    assert slots() == 0


def test_a_connection_to_former_settings_is_closed(pool: ConnectionPool, config: SmtpConfig) -> None:
    pool.keep(config, opened(pool, config))
    config.updated_at += 1
    assert pool.take(config) is None
    assert slots() == 0


def test_only_what_was_idle_too_long_is_swept(pool: ConnectionPool, config: SmtpConfig) -> None:
    fresh, old = opened(pool, config), opened(pool, config)
    pool.keep(config, fresh)
    pool.keep(config, old)
    old.last_used -= connections.IDLE_SECONDS + 1
    pool.sweep()
    assert pool.take(config) is fresh
    assert slots() == 1


def test_the_end_of_a_connection_waits_for_no_server(
    pool: ConnectionPool, config: SmtpConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Session, "_do_quit", lambda self, rest: self._say("<silence>"))
    for one in [opened(pool, config) for _ in range(4)]:
        pool.keep(config, one)
    began = time.monotonic()
    pool.sweep(everything=True)
    assert time.monotonic() - began < 1
    assert slots() == 0


def test_one_release_that_fails_keeps_no_other_from_its_slot_and_is_mended(
    pool: ConnectionPool, config: SmtpConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = opened(pool, config)
    for one in [opened(pool, config) for _ in range(3)]:
        pool.keep(config, one)
    fails_once(monkeypatch, health, "release_slot")
    pool.sweep(everything=True)
    assert slots() == 2, "the first release was lost"
    pool.true_up()
    assert slots() == 1
    kept.close()


def test_slots_are_left_alone_while_a_claim_takes_one(pool: ConnectionPool, config: SmtpConfig) -> None:
    with pool.changing(config.id):
        write(lambda: health.take_slot(config.id, INSTANCE))
        pool.true_up()
        assert slots() == 1
        pool.slot_taken(config.id)
    pool.true_up()
    assert slots() == 1


def test_slots_of_other_instances_are_not_touched(pool: ConnectionPool, config: SmtpConfig) -> None:
    write(lambda: health.take_slot(config.id, INSTANCE + 1))
    write(lambda: run("INSERT INTO slots VALUES (?, ?, 5)", config.id, INSTANCE))
    pool.true_up()
    assert slots() == 1


def fails_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    real, failures = getattr(owner, name), [OperationalError("database or disk is full")]

    def flaky(*args: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(*args, **options)

    monkeypatch.setattr(owner, name, flaky)
