"""Periodic jobs, run by one process at a time: whoever holds the leader's row, until it dies or leaves."""

from __future__ import annotations

import logging
from collections.abc import Callable

from apscheduler.schedulers.background import BackgroundScheduler

from models.database import row, run, write
from services import expire, promote, retention
from services.relay import Relay
from utils.clock import now_ms

log = logging.getLogger("mailferry.jobs")


class Jobs:
    def __init__(self, relay: Relay, instance_id: int, wake: Callable[[], None]) -> None:
        self._relay = relay
        self._instance_id = instance_id
        self._wake = wake
        self._scheduler: BackgroundScheduler | None = None

    def lead_if_vacant(self) -> None:
        """Become the leader when there is none. A dead leader's row goes with its instance's."""
        if self._scheduler is not None or row("SELECT 1 FROM leaders WHERE name = 'jobs'") is not None:
            return
        won = write(
            lambda: run(
                "INSERT INTO leaders (name, instance_id) VALUES ('jobs', ?) ON CONFLICT DO NOTHING",
                self._instance_id,
            )
        )
        if won:
            self._start()

    def stop(self) -> None:
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=True)
            self._scheduler = None

    def _start(self) -> None:
        log.info("action=leading instance=%s", self._instance_id)
        scheduler = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1})
        for seconds, job in (
            (1, self._promote),
            (1, self._expire),
            (600, self._retain),
            (600, self._prune),
        ):
            scheduler.add_job(job, "interval", seconds=seconds)
        scheduler.start()
        self._scheduler = scheduler

    def _promote(self) -> None:
        if promote.promote_due(now_ms()):
            self._wake()

    def _expire(self) -> None:
        expire.expire_due(now_ms())

    def _retain(self) -> None:
        retention.purge_bodies(self._relay.policy, now_ms())
        retention.purge_rows(self._relay.policy, now_ms())

    def _prune(self) -> None:
        retention.prune_usage(now_ms())
        retention.prune_idempotency(now_ms())
        retention.prune_sandbox()
