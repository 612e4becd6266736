"""Periodic jobs, run by one process at a time: whoever holds the leader's row, until it dies or leaves.

What mail waits for is driven by the caller's monotonic ticks. APScheduler goes by the wall clock, and rests when
that is set back; it does the housekeeping.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from apscheduler.schedulers.background import BackgroundScheduler

from models.database import FOR_KEY_SHARE, row, run, write
from services import account_smtp, audit, browser_sessions, expire, history, promote, retention, tallies
from services.composing import drafts, uploads
from services.relay import Relay
from services.sync import purge
from services.sync import tasks as sync_tasks
from utils.clock import now_ms

log = logging.getLogger("mailferry.jobs")

HOUSEKEEPING_SECONDS = 600
PROMOTED_AT_ONCE = 1_000
EXPIRED_AT_ONCE = 5_000


class Jobs:
    def __init__(self, relay: Relay, instance_id: int, wake: Callable[[], None]) -> None:
        self._relay = relay
        self._instance_id = instance_id
        self._wake = wake
        self._scheduler: BackgroundScheduler | None = None
        self._stopping = False
        self._seen = (0, 0, 0)

    def tick(self) -> None:
        """Call about once a second."""
        if self._stopping or not self._leads():
            return
        self._promote()
        self._expire()
        self._count()
        if self._scheduler is None:
            self._start()

    def stop(self) -> None:
        """Does not wait for a job that runs: each of its steps is committed by itself."""
        self._stopping = True
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None

    def _leads(self) -> bool:
        """Take the row when nobody has it. A dead leader's goes with its instance's."""
        holder = row("SELECT instance_id FROM leaders WHERE name = 'jobs'")
        if holder is not None:
            return bool(holder[0] == self._instance_id)
        won = write(
            lambda: run(
                "INSERT INTO leaders (name, instance_id) SELECT 'jobs', id FROM instances"
                f" WHERE id = ? AND ended_at IS NULL {FOR_KEY_SHARE} ON CONFLICT DO NOTHING",
                self._instance_id,
            )
        )
        return bool(won)

    def _start(self) -> None:
        log.info("action=leading instance=%s", self._instance_id)
        scheduler = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1})
        scheduler.add_job(self._housekeep, "interval", seconds=HOUSEKEEPING_SECONDS)
        scheduler.start()
        self._scheduler = scheduler

    def _promote(self) -> None:
        while not self._stopping:
            promoted = promote.promote_due(now_ms(), PROMOTED_AT_ONCE)
            if promoted:
                self._wake()
            if promoted < PROMOTED_AT_ONCE:
                return

    def _expire(self) -> None:
        while not self._stopping and expire.expire_due(now_ms(), EXPIRED_AT_ONCE) >= EXPIRED_AT_ONCE:
            pass

    def _count(self) -> None:
        """For the metrics, up to what was there at the last tick."""
        tallies.count(*self._seen)
        self._seen = tallies.last_ids()

    def _housekeep(self) -> None:
        policy = self._relay.policy
        steps: tuple[Callable[[], object], ...] = (
            lambda: retention.purge_bodies(policy, now_ms()),
            lambda: retention.purge_rows(policy, now_ms()),
            lambda: retention.prune_usage(now_ms()),
            lambda: retention.prune_idempotency(now_ms()),
            retention.prune_sandbox,
            lambda: sync_tasks.prune(now_ms()),
            lambda: purge.purge_accounts(policy, now_ms()),
            account_smtp.prune,
            lambda: uploads.prune(now_ms()),
            drafts.prune,
            lambda: browser_sessions.prune(now_ms()),
            lambda: audit.prune(now_ms()),
            lambda: history.prune(now_ms()),
        )
        for step in steps:
            if self._stopping:
                return
            try:
                step()
            except Exception:
                log.exception("action=housekeeping_trouble")
