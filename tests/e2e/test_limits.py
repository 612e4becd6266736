"""Limits on the real daemon: two processes, eight workers each, and a clock that is moved: the database's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.database import POSTGRESQL
from tests.support.faketime import Clock
from tests.support.sink import Sink

HOUR = 3600
NOON = (int(time.time()) // 86400 + 2) * 86400 + 12 * HOUR


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clock]:
    """By which the limits are counted: the daemon's, or that of its PostgreSQL server."""
    if not POSTGRESQL:
        yield Clock(tmp_path)
        return
    from tests.support.postgres import Server

    server = Server(clock=Clock)
    try:
        assert server.clock is not None
        server.clock.server = server
        yield server.clock
    finally:
        server.destroy()


@pytest.fixture
def daemon(tmp_path: Path, clock: Clock) -> Iterator[Daemon]:
    clock.set(NOON)
    made = Daemon(tmp_path, queue_workers=8, web_concurrency=2)
    if POSTGRESQL:
        made.settings |= {"DATABASE_URL": clock.server.url("postgres"), "LEASE_SECONDS": "6"}
    else:
        made.wrapper = clock.wrapper
    with made:
        yield made


def batch(count: int, recipients: int = 1) -> dict[str, Any]:
    return {
        "mode": "strict",
        "emails": [
            {
                "subject": f"n{n}",
                "recipients": [f"r{n}-{i}@example.com" for i in range(recipients)],
                "text_content": "Hello",
            }
            for n in range(count)
        ],
    }


def settled(sink: Sink) -> int:
    """What has been accepted once nothing more comes."""
    time.sleep(3)
    return sink.accepted


def at(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


@pytest.mark.parametrize("_run", [1, 2])
def test_never_one_more_than_the_hourly_limit(daemon: Daemon, clock: Clock, _run: int) -> None:
    with Sink() as sink:
        daemon.add_config(sink.port, hourly_limit=50, max_connections=16)
        clock.set(NOON + 58)
        results = daemon.post("/api/emails/batch", batch(500))["results"]
        ids = [one["email_id"] for one in results]
        sink.wait_for(50)
        assert settled(sink) == 50
        assert daemon.get("/api/queue")["counts"]["queued"] == 450

        waiting = sorted(
            one["id"] for one in daemon.get("/api/emails/status/queued?limit=500") if one["id"] in set(ids)
        )
        first, hundredth = (daemon.get(f"/api/emails/{waiting[n]}/why") for n in (0, 100))
        assert first["reason"] == hundredth["reason"] == "quota_hour"
        assert "config-" in first["message"]
        assert NOON + HOUR + 60 <= at(first["expected_at"]) <= NOON + HOUR + 125
        assert NOON + 3 * HOUR + 180 <= at(hundredth["expected_at"]) <= NOON + 3 * HOUR + 380

        clock.set(NOON + HOUR + 55)  # 13:00:55: the fifty of 12:00:58 still count
        assert settled(sink) == 50
        clock.set(NOON + HOUR + 121)
        sink.wait_for(100)
        assert settled(sink) == 100
        assert all(one.data for one in sink.messages)
        assert len({one.message_id for one in sink.messages}) == 100


def test_never_one_recipient_more_than_the_limit(daemon: Daemon, clock: Clock) -> None:
    with Sink() as sink:
        daemon.add_config(sink.port, hourly_limit=50, limit_unit="recipients", max_connections=16)
        daemon.post("/api/emails/batch", batch(60, recipients=4))
        sink.wait_for(12)
        settled(sink)
        assert sum(len(one.rcpt_tos) for one in sink.messages) == 48
        clock.set(NOON + HOUR + 121)
        sink.wait_for(24)
        settled(sink)
        assert sum(len(one.rcpt_tos) for one in sink.messages) == 96
