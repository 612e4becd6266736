"""The leader's periodic work."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from models.database import rows, run, write
from services import expire, promote, retention
from services.relay import Relay
from tests.support.relay import add_config, state, states, submit
from utils.clock import HOUR, now_ms
from workers import jobs as jobs_module
from workers.instance import Membership
from workers.jobs import Jobs


@pytest.fixture
def member(relay: Relay) -> Membership:
    return Membership(relay.policy, 60)


@pytest.fixture
def jobs(relay: Relay, member: Membership) -> Any:
    made = Jobs(relay, member.id, lambda: None)
    yield made
    made.stop()


def leaders() -> list[Any]:
    return [one for (one,) in rows("SELECT instance_id FROM leaders")]


def test_one_process_leads_until_it_leaves(relay: Relay, member: Membership, jobs: Jobs) -> None:
    other = Membership(relay.policy, 60)
    others = Jobs(relay, other.id, lambda: None)
    jobs.tick()
    others.tick()
    assert leaders() == [member.id]
    jobs.stop()
    member.leave()
    others.tick()
    assert leaders() == [other.id]
    others.stop()


def test_a_process_that_was_declared_dead_cannot_lead(member: Membership, jobs: Jobs) -> None:
    write(lambda: run("DELETE FROM instances WHERE id = ?", member.id))
    jobs.tick()
    assert leaders() == []


def test_all_that_is_due_is_promoted_and_expired_in_one_tick(
    relay: Relay, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "PROMOTED_AT_ONCE", 2)
    monkeypatch.setattr(jobs_module, "EXPIRED_AT_ONCE", 2)
    add_config()
    now = now_ms()
    for _ in range(5):
        submit(relay, now - HOUR, send_at=now - HOUR + 1000)
    late = [submit(relay, now - HOUR, expires_at=now - 1) for _ in range(5)]
    jobs.tick()
    assert {state(one) for one in late} == {"failed"}
    assert states() == {"queued": 5, "failed": 5}


def test_the_leader_promotes_though_the_scheduler_does_not_start(
    relay: Relay, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: BackgroundScheduler) -> None:
        raise RuntimeError("can't start new thread")

    add_config()
    monkeypatch.setattr(BackgroundScheduler, "start", broken)
    for _ in range(2):
        one = submit(relay, now_ms() - HOUR, send_at=now_ms() - HOUR + 1000)
        with pytest.raises(RuntimeError):
            jobs.tick()
        assert state(one) == "queued"
    monkeypatch.undo()
    jobs.tick()
    assert jobs._scheduler is not None


def test_promotion_does_not_go_by_the_schedulers_clock(
    relay: Relay, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler has nothing to do with what mail waits for: a clock set back would make it rest."""
    jobs.tick()
    assert jobs._scheduler is not None
    due = jobs._scheduler.get_jobs()
    assert [job.func.__name__ for job in due] == ["_housekeep"]
    called: list[str] = []
    monkeypatch.setattr(promote, "promote_due", lambda now, limit: called.append("promote") or 0)
    monkeypatch.setattr(expire, "expire_due", lambda now, limit: called.append("expire") or 0)
    jobs.tick()
    assert called == ["promote", "expire"]


def test_a_stop_does_not_wait_for_a_long_purge(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    running, go_on = threading.Event(), threading.Event()
    later: list[int] = []

    def purge(policy: Any, now: int) -> int:
        running.set()
        go_on.wait(10)
        return 0

    monkeypatch.setattr(retention, "purge_bodies", purge)
    monkeypatch.setattr(retention, "purge_rows", lambda policy, now: later.append(now))
    monkeypatch.setattr(jobs_module, "HOUSEKEEPING_SECONDS", 0.1)
    jobs.tick()
    assert running.wait(5)
    began = time.monotonic()
    jobs.stop()
    assert time.monotonic() - began < 1
    go_on.set()
    time.sleep(0.2)
    assert later == [], "no further step begins"
