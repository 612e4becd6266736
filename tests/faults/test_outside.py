"""What is outside of our hands: clocks that jump, names that do not resolve, servers that are slow or gone."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.trial import SITE, Trial
from tests.support.daemon import free_port
from tests.support.faketime import Clock
from tests.support.sink import Sink

LIMIT = 30
HOUR = 3_600
HOUR_MS = HOUR * 1_000


def test_a_clock_that_jumps_an_hour_back_and_forth(tmp_path: Path, tell: Any) -> None:
    """No rolling hour of the daemon's own clock has more mail than the limit, and all of it goes once."""
    clock = Clock(tmp_path)
    now = time.time()
    with Trial(tmp_path, wrapper=clock.wrapper) as trial:
        trial.daemon.start()
        trial.add_config(hourly_limit=LIMIT)
        trial.client.post_batch(2 * LIMIT)
        trial.client.post(10, send_at=None)
        trial.sink.wait_for_accepted(5)
        for hours in (1, 0, 2, 1, -1, 2, 0, 3):
            clock.set(now + hours * HOUR)
            trial.client.post(3)
            time.sleep(0.7)
        for hours in range(4, 12):
            clock.set(now + hours * 1.1 * HOUR)
            time.sleep(1.5)
            if not trial.query("SELECT 1 FROM emails WHERE finished_at IS NULL LIMIT 1"):
                break
        dots = sorted(at for (at,) in trial.query("SELECT dot_at FROM attempts WHERE dot_at IS NOT NULL"))
        assert busiest_hour(dots) <= LIMIT
        assert len(dots) > 2 * LIMIT
        tell(trial.finish())


def busiest_hour(times: list[int]) -> int:
    return max(sum(first <= one < first + HOUR_MS for one in times) for first in times)


def test_a_name_that_does_not_resolve_for_a_while(tmp_path: Path, tell: Any) -> None:
    unknown = tmp_path / "unknown-hosts"
    unknown.write_text("mail.down.test\n")
    with Trial(tmp_path, pythonpath=SITE, fault_hosts=unknown) as trial:
        trial.daemon.start()
        good = trial.add_config(smtp_host="mail.up.test", name="up")
        bad = trial.add_config(smtp_host="mail.down.test", name="down")
        trial.client.post(5, smtp_config_id=bad)
        trial.client.post(5, smtp_config_id=good)
        trial.sink.wait_for_accepted(5, timeout=5)
        time.sleep(3)
        waiting = trial.query("SELECT DISTINCT retry_count FROM emails WHERE state != 'sent'")
        assert waiting == [(0,)]
        unknown.write_text("")
        trial.sink.wait_for_accepted(10, timeout=30)
        assert trial.query("SELECT DISTINCT retry_count FROM emails") == [(0,)]
        tell(trial.finish())


@pytest.mark.long
def test_a_server_that_answers_a_byte_a_second_is_waited_for(tmp_path: Path, tell: Any) -> None:
    with Trial(tmp_path) as trial:
        trial.daemon.start()
        trial.add_config()
        trial.client.post()
        trial.sink.wait_for_accepted(1)
        trial.sink.byte_pause = 1.0
        trial.client.post()
        trial.sink.wait_for_accepted(2, timeout=150)
        trial.settle(60)
        tell(trial.finish())


def test_a_server_that_answers_a_byte_a_second_holds_up_nobody(tmp_path: Path, tell: Any) -> None:
    """Neither other mail nor a stop: at its end the mail of the slow server has its place in the queue again."""
    with Trial(tmp_path, drain_seconds=2) as trial, Sink(byte_pause=1.0) as slow:
        trial.daemon.start()
        sluggish = trial.daemon.add_config(slow.port, max_connections=20)
        good = trial.add_config()
        trial.client.post_batch(30, smtp_config_id=sluggish, priority=1)
        time.sleep(1)
        trial.client.post_batch(30, smtp_config_id=good)
        trial.sink.wait_for_accepted(30, timeout=5)
        assert trial.daemon.stop() < 15
        assert trial.query("SELECT state, count(*) FROM emails GROUP BY 1") == [("queued", 30), ("sent", 30)]
        slow.byte_pause = 0.0
        trial.daemon.start()
        slow.wait_for_accepted(30, timeout=60)
        trial.log.write_text(trial.log.read_text() + "".join(map(line_of, slow.messages)))
        tell(trial.finish())


def line_of(message: Any) -> str:
    return f'{{"message_id": "{message.message_id}"}}\n'


@contextmanager
def silent_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield listener.getsockname()[1]


def test_99_of_100_servers_are_down(tmp_path: Path, tell: Any) -> None:
    """Refused, silent, or unwilling. The mail of the one that works goes at once."""
    with Trial(tmp_path, drain_seconds=2) as trial, silent_port() as silent, Sink() as unwilling:
        unwilling.hooks.on_connect = lambda: "421 4.3.2 not today"
        trial.daemon.start()
        ports = [free_port(), silent, unwilling.port] * 33
        down = [trial.daemon.add_config(port, name=f"down-{n}") for n, port in enumerate(ports)]
        good = trial.add_config()
        for config in down:
            trial.daemon.send(smtp_config_id=config, priority=1)
        time.sleep(2)
        began = time.monotonic()
        trial.client.post(20, smtp_config_id=good)
        trial.sink.wait_for_accepted(20, timeout=10)
        took = time.monotonic() - began
        assert took < 5, took
        for (email_id,) in trial.query("SELECT id FROM emails WHERE priority = 1"):
            trial.daemon.post(f"/api/emails/{email_id}/cancel")
        trial.daemon.stop()
        assert trial.query("SELECT state, count(*) FROM emails GROUP BY 1") == [
            ("cancelled", 99),
            ("sent", 20),
        ]
        tell(trial.count(trial.client.accepted))
