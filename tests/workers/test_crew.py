"""Silent servers keep deliveries waiting; the mail of others does not wait with them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from services.claim import Candidate
from services.relay import Relay
from tests.support.relay import SERVICE, add_config, delivering, state, submit, wait_for
from tests.support.sink import Sink
from utils.clock import monotonic
from workers import crew
from workers.hand import Hand, Progress


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed after a fraction of the time."""
    monkeypatch.setattr(crew, "PATIENCE_SECONDS", 0.3)


@contextmanager
def tarpit() -> Iterator[int]:
    """Takes connections and never says a word. Its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield listener.getsockname()[1]


def test_one_worker_serves_others_while_a_server_is_silent_after_the_dot(relay: Relay, sink: Sink) -> None:
    with Sink() as silent:
        silent.hooks.on_data = lambda message: "<silence>"
        stuck, good = add_config(silent.port), add_config(sink.port)
        with delivering(relay, workers=1) as engine:
            submit(relay, smtp_config_id=stuck, on_unknown="hold")
            wait_for(lambda: [one for one in engine.hands() if one.progress.stage == "dot"])
            one = submit(relay, smtp_config_id=good)
            wait_for(lambda: state(one) == "sent", 2)
            silent.drop_connections()
            wait_for(lambda: not engine.hands())


def test_many_silent_servers_do_not_keep_mail_from_one_that_answers(relay: Relay, sink: Sink) -> None:
    with delivering(relay, workers=1) as engine, tarpit() as port:
        for number in range(6):
            silent = add_config(port, name=f"tarpit {number}")
            for _ in range(4):
                submit(relay, smtp_config_id=silent)
        good = add_config(sink.port)
        wait_for(lambda: len(engine.hands()) >= 6)
        one = submit(relay, smtp_config_id=good)
        wait_for(lambda: state(one) == "sent", 5)


def test_a_server_that_lets_nobody_in_is_not_asked_again(relay: Relay) -> None:
    with delivering(relay, workers=1) as engine, tarpit() as port:
        silent = add_config(port, max_connections=5)
        submit(relay, smtp_config_id=silent)
        wait_for(lambda: engine.hands() and monotonic() - engine.hands()[0].progress.since > 0.4)
        submit(relay, smtp_config_id=silent)
        with pytest.raises(AssertionError):
            wait_for(lambda: len(engine.hands()) > 1, 1.5)


def test_a_tenant_with_endless_silent_servers_holds_up_no_other_tenant(
    relay: Relay, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "MOST_CONNECTING", 12)
    relay.policy = replace(relay.policy, allow_private_hosts=True)
    acme = replace(SERVICE, service=False, tenant="acme")
    with delivering(relay, workers=1) as engine, tarpit() as port:
        for number in range(30):
            silent = add_config(port, name=f"tarpit {number}", tenant="acme")
            submit(relay, who=acme, smtp_config_id=silent)
        good = add_config(sink.port)
        wait_for(lambda: len(engine.hands()) >= 6)
        one = submit(relay, smtp_config_id=good)
        wait_for(lambda: state(one) == "sent", 5)


class Working(Hand):
    """`a1`: one that works for config 1 of tenant a. `connecting`: for how many seconds it has waited to be let in."""

    def __init__(self, name: str, connecting: float | None) -> None:
        self.claim = SimpleNamespace(  # type: ignore[assignment]
            config=SimpleNamespace(id=int(name[1:]), tenant=name[0]), opens_connection=connecting is not None
        )
        self.progress = Progress("dot" if connecting is None else "connect", monotonic() - (connecting or 0))
        self.dismissed = False


def candidate(name: str) -> Candidate:
    return Candidate(int(name[1:]), 1, 0, 0, "messages", name[0], 5, 5.0, None, 0, 0)


@pytest.mark.parametrize(
    ("hands", "name", "may"),
    [
        ([], "a1", True),
        ([("a1", None)] * 199, "a1", True),
        ([("a1", None)] * 200, "a1", False),
        ([("a1", None)] * 200, "b2", True),
        ([("a1", None)] * 200 + [("b2", None)] * 200, "c3", False),
        ([("a1", 0.0)], "a1", True),
        ([("a1", 9.0)], "a1", False),
        ([("a1", 9.0)], "a2", True),
        ([("a1", 0.0)] * 32, "a2", False),
        ([("a1", 9.0)] * 199, "a2", True),
        ([("a1", 9.0)] * 200, "a2", False),
        ([("a1", 0.0)] * 32, "b2", True),
        ([("a1", 0.0)] * 32 + [("b2", 0.0)] * 32, "c3", False),
    ],
)
def test_how_many_may_wait_for_whom(hands: list[tuple[str, float | None]], name: str, may: bool) -> None:
    assert crew.Crowd([Working(*one) for one in hands]).may_connect(candidate(name)) is may
