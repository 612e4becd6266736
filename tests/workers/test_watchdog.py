"""What hangs beyond every deadline is freed, and what is known of an email is never given up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from peewee import OperationalError

from models.database import QueueDatabase, rows
from models.smtp_config import SmtpConfig
from services import claim as claims
from services.relay import Relay
from services.smtp import Connection, Deadlines, Endpoint
from tests.support.database import sqlite_only
from tests.support.relay import (
    add_config,
    attempts,
    delivering,
    events,
    health,
    state,
    states,
    submit,
    wait_for,
)
from tests.support.sink import Sink
from utils.clock import now_ms
from workers import watchdog
from workers.engine import Engine
from workers.hand import Hand, Progress
from workers.instance import Membership


@contextmanager
def watched(relay: Relay, limit: float, grace: float, **options: Any) -> Iterator[Engine]:
    with delivering(relay, workers=1, **options) as engine:
        limits = dict.fromkeys(watchdog.LIMITS, limit)
        engine._watchdog = watchdog.Watchdog(engine.hands, engine.pool, relay.policy, limits, grace)
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
        one = submit(relay)
        (first,) = wait_for(engine.hands)
        wait_for(lambda: first.dismissed, 6)
        wait_for(lambda: "hung at connect" in (health(config).last_error or ""))
        assert events(one) == ["returned"]
        wait_for(lambda: state(one) == "sent", 10)
        never.set()
        wait_for(lambda: first not in engine.hands())
    assert sink.accepted == 1


@sqlite_only
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
        (hand,) = engine.hands()
        wait_for(lambda: hand.progress.stage == "recording")
        looks = [engine._watchdog.look() for _ in range(3)]
        threading.Event().wait(2)
        assert looks and not hand.dismissed
        sink.hooks.on_data = lambda message: None
        full.clear()
        wait_for(lambda: state(one) == "sent", 5)
    assert sink.accepted == 1
    assert events(one) == []


def test_a_hand_that_goes_on_while_it_is_looked_at_is_left_alone(relay: Relay, sink: Sink) -> None:
    config = SmtpConfig.get_by_id(add_config(sink.port))
    submit(relay)
    with delivering(relay, workers=1) as engine:
        wait_for(lambda: states() == {"sent": 1})
        claim = claims.Claim(config, 1, engine.instance_id, 0, (claims.Queued(1, 0, 1, 1, None),), False)
        hand = Hand(engine, claim, None)
        hand.progress = Progress("dot", 0.0, 1)
        before = hand.progress
        hand.at("envelope", 2)
        assert not hand.dismiss(before)
        assert hand.dismiss(hand.progress)


def test_the_limits_are_above_what_the_transport_allows_itself() -> None:
    greetings = 8  # banner, EHLO, HELO or STARTTLS, TLS, EHLO again, and up to three lines of AUTH
    assert watchdog.LIMITS["connect"] > Deadlines().connect + greetings * Deadlines().greeting
    assert watchdog.LIMITS["dot"] > Deadlines().data_done


def test_a_claim_whose_answer_was_lost_is_given_back_at_the_second_look(relay: Relay) -> None:
    """Its commit came through, but not the answer that it did: nobody carries that mail."""
    member = Membership(relay.policy, 60)
    config = add_config(hourly_limit=5)
    lost, held = submit(relay), submit(relay)
    assert claims.claim(config, member.id, now_ms(), 1, connected=True) is not None
    claim = claims.claim(config, member.id, now_ms(), 1, connected=True)
    hand = SimpleNamespace(claim=claim)
    dog = watchdog.Watchdog(lambda: [hand], None, relay.policy)  # type: ignore[arg-type,list-item,return-value]
    dog.look_for_unheld(member.id)
    assert (state(lost), state(held)) == ("sending", "sending"), "a hand may just be taking it up"
    dog.look_for_unheld(member.id)
    assert (state(lost), state(held)) == ("queued", "sending")
    assert rows("SELECT sum(messages) FROM usage") == [(1,)]
