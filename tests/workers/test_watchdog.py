"""What hangs beyond every deadline is freed, and what is known of an email is never given up."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from peewee import OperationalError

from models.database import QueueDatabase, rows
from services.relay import Relay
from services.smtp import Connection, Deadlines, Endpoint
from tests.support.relay import add_config, attempts, delivering, events, health, state, submit, wait_for
from tests.support.sink import Sink
from workers import watchdog
from workers.engine import Engine
from workers.worker import Progress


@contextmanager
def watched(relay: Relay, limit: float, grace: float, **options: Any) -> Iterator[Engine]:
    with delivering(relay, workers=1, **options) as engine:
        limits = dict.fromkeys(watchdog.LIMITS, limit)
        engine._watchdog = watchdog.Watchdog(engine.staff, engine.pool, relay.policy, limits, grace)
        yield engine


def test_a_dialog_that_hangs_is_cut_off_and_its_outcome_recorded(relay: Relay) -> None:
    with Sink() as silent:
        silent.hooks.on_data = lambda message: "<silence>"
        add_config(silent.port)
        with watched(relay, limit=0.5, grace=60):
            one = submit(relay, on_unknown="hold")
            wait_for(lambda: state(one) == "unknown", 6)
        assert "cut off from our side" in attempts(one)[0]["reply"]
        assert rows("SELECT 1 FROM slots WHERE connections > 0") == []


def test_a_worker_that_nothing_frees_loses_its_email_to_another(relay: Relay, sink: Sink) -> None:
    never = threading.Event()
    hung: list[Endpoint] = []

    def open_connection(endpoint: Endpoint) -> Connection:
        if not hung:
            hung.append(endpoint)
            never.wait(20)  # a resolver that does not return
        return Connection.open(endpoint)

    config = add_config(sink.port)
    with watched(relay, limit=0.3, grace=0.3, open_connection=open_connection) as engine:
        (first,) = engine.staff.members
        one = submit(relay)
        wait_for(lambda: first.dismissed, 6)
        wait_for(lambda: first not in engine.staff.members)
        assert "hung at connect" in health(config).last_error
        assert events(one) == ["returned"]
        wait_for(lambda: state(one) == "sent", 10)
        never.set()
        wait_for(lambda: not first.is_alive())
    assert sink.accepted == 1


def test_a_full_disk_after_the_answer_sends_nothing_twice(
    relay: Relay, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = threading.Event()
    real = QueueDatabase._commit

    def commit(self: QueueDatabase, job: Any) -> Any:
        if full.is_set():
            raise OperationalError("database or disk is full")
        return real(self, job)

    monkeypatch.setattr(QueueDatabase, "_commit", commit)
    add_config(sink.port)
    sink.hooks.on_data = lambda message: full.set()
    with watched(relay, limit=0.5, grace=0.3) as engine:
        one = submit(relay)
        wait_for(full.is_set)
        wait_for(lambda: engine.staff.members[0].progress.stage == "recording")
        looks = [engine._watchdog.look() for _ in range(3)]
        threading.Event().wait(2)
        assert looks and not engine.staff.members[0].dismissed
        sink.hooks.on_data = lambda message: None
        full.clear()
        wait_for(lambda: state(one) == "sent", 5)
    assert sink.accepted == 1
    assert events(one) == []


def test_a_worker_that_turns_idle_while_it_is_looked_at_is_left_alone(relay: Relay) -> None:
    stages = iter(["dot", "", "", ""])

    class Turning:
        """Idle at the second look."""

        since, connection, email_id, lease = 0.0, None, 1, 1

        @property
        def stage(self) -> str:
            return next(stages)

    with delivering(relay, workers=1) as engine:
        (member,) = engine.staff.members
        member.progress = Progress()
        dog = watchdog.Watchdog(engine.staff, engine.pool, relay.policy, {"dot": sys.float_info.max})
        member.progress = Turning()  # type: ignore[assignment]
        dog.look()
        member.progress = Progress()


def test_the_limits_are_above_what_the_transport_allows_itself() -> None:
    greetings = 8  # banner, EHLO, HELO or STARTTLS, TLS, EHLO again, and up to three lines of AUTH
    assert watchdog.LIMITS["connect"] > Deadlines().connect + greetings * Deadlines().greeting
    assert watchdog.LIMITS["dot"] > Deadlines().data_done
