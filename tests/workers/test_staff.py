"""Workers that wait for silent servers, and those who stand in for them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from models.smtp_config import SmtpConfig
from services.relay import Relay
from tests.support.relay import SERVICE, add_config, delivering, state, submit, wait_for
from tests.support.sink import Sink
from workers import worker
from workers.staff import Waiting


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed after a fraction of the time."""
    monkeypatch.setattr(worker, "PATIENCE_SECONDS", 0.3)


@contextmanager
def tarpit() -> Iterator[int]:
    """Takes connections and never says a word. Its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield listener.getsockname()[1]


def test_others_stand_in_for_a_worker_that_waits_and_go_home_afterwards(relay: Relay) -> None:
    with Sink() as silent, Sink() as sink:
        silent.hooks.on_data = lambda message: "<silence>"
        stuck, good = add_config(silent.port), add_config(sink.port)
        with delivering(relay, workers=1) as engine:
            submit(relay, smtp_config_id=stuck)
            wait_for(lambda: len(engine.staff.members) == 2)
            one = submit(relay, smtp_config_id=good)
            wait_for(lambda: state(one) == "sent")
            silent.drop_connections()
            wait_for(lambda: len(engine.staff.members) == 1)


def test_many_silent_servers_do_not_keep_mail_from_one_that_answers(relay: Relay, sink: Sink) -> None:
    with delivering(relay, workers=1) as engine, tarpit() as port:
        for number in range(6):
            silent = add_config(port, name=f"tarpit {number}")
            for _ in range(4):
                submit(relay, smtp_config_id=silent)
        good = add_config(sink.port)
        wait_for(lambda: engine.staff.waiting().tenants.total() == 6)
        one = submit(relay, smtp_config_id=good)
        wait_for(lambda: state(one) == "sent", 5)
        waiting = engine.staff.waiting().configs
        assert set(waiting.values()) == {1}, "a server that lets nobody in keeps one waiting, no more"


def test_a_tenant_with_endless_silent_servers_holds_up_no_other_tenant(relay: Relay, sink: Sink) -> None:
    relay.policy = replace(relay.policy, allow_private_hosts=True)
    acme = replace(SERVICE, service=False, tenant="acme")
    with delivering(relay, workers=2) as engine, tarpit() as port:
        for number in range(30):
            silent = add_config(port, name=f"tarpit {number}", tenant="acme")
            submit(relay, who=acme, smtp_config_id=silent)
        good = add_config(sink.port)
        wait_for(lambda: engine.staff.waiting().tenants["acme"] >= 9)
        one = submit(relay, smtp_config_id=good)
        wait_for(lambda: state(one) == "sent", 5)


def waiting(**counts: int) -> Waiting:
    """`a1=2`: two wait for config 1 of tenant a."""
    made = Waiting(staff=20, workers=4)
    for name, count in counts.items():
        made.configs[int(name[1:])] += count
        made.tenants[name[0]] += count
    return made


@pytest.mark.parametrize(
    ("counts", "config", "enough"),
    [
        ({}, "a1", False),
        ({"a1": 1}, "a1", False),
        ({"a1": 2}, "a1", True),
        ({"a1": 2}, "a2", False),
        ({"a1": 2, "a2": 2, "a3": 2, "a4": 2, "a5": 2}, "a6", True),
        ({"a1": 2, "a2": 2, "a3": 2, "a4": 2, "a5": 2}, "b9", False),
        ({"a1": 8, "b2": 8}, "a3", True),
        ({"a1": 8, "b2": 8}, "c3", False),
        ({"a1": 8, "b2": 7}, "a3", False),
    ],
)
def test_how_many_may_wait_for_whom(counts: dict[str, int], config: str, enough: bool) -> None:
    there = SmtpConfig(id=int(config[1:]), tenant=config[0])
    assert waiting(**counts).is_enough(there) is enough
