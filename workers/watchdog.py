"""Frees what hangs. The transport bounds every read and write; this is for what it cannot bound, such as DNS."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from services import recover
from utils.clock import monotonic, now_ms

if TYPE_CHECKING:
    from workers.engine import Engine
    from workers.worker import Worker

log = logging.getLogger("mailferry.watchdog")

# Seconds without progress, above the sum of the transport's own deadlines for the stage.
LIMITS = {"connect": 300.0, "envelope": 1_200.0, "body": 1_800.0, "dot": 660.0}
GRACE_SECONDS = 30.0  # for the thread to end by itself once its connection is shut


class Watchdog:
    def __init__(
        self, engine: Engine, limits: dict[str, float] = LIMITS, grace: float = GRACE_SECONDS
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._grace = grace

    def look(self) -> None:
        for worker in list(self._engine.workers):
            progress = worker.progress
            if not progress.stage:
                continue
            over = monotonic() - progress.since - self._limits[progress.stage]
            if over > self._grace:
                self._give_up(worker)
            elif over > 0 and progress.connection is not None:
                log.warning("action=watchdog_abort stage=%s email=%s", progress.stage, progress.email_id)
                progress.connection.abort()

    def _give_up(self, worker: Worker) -> None:
        progress = worker.progress
        log.error("action=watchdog_replace stage=%s email=%s", progress.stage, progress.email_id)
        why = f"the delivery hung at {progress.stage}"
        recover.take_back_lease(self._engine.relay.policy, progress.lease, why, now_ms())
        worker.dismissed = True
        self._engine.abandon(worker)
