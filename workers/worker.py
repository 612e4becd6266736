"""A thread that claims and delivers, over and over."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from models.database import database
from models.smtp_config import SmtpConfig
from services import claim as claims
from services.claim import Claim
from services.deliver import Delivery, connection_failed, leased_of
from services.record import Leased
from services.smtp import Connection, SmtpError
from utils.clock import monotonic, now_ms

if TYPE_CHECKING:
    from workers.engine import Engine

log = logging.getLogger("mailferry.worker")

IDLE_SECONDS = 5.0  # the engine wakes workers; this is only the net below
TROUBLE_SECONDS = 1.0
PATIENCE_SECONDS = 3.0


@dataclass(slots=True)
class Progress:
    """What a worker is at, for the watchdog. `since` is monotonic; `stage` is empty when idle."""

    stage: str = ""
    since: float = 0.0
    email_id: int = 0
    lease: int = 0
    connection: Connection | None = None


class Worker(threading.Thread):
    def __init__(self, engine: Engine, number: int) -> None:
        super().__init__(name=f"delivery-{number}", daemon=True)
        self._engine = engine
        self.progress = Progress()
        self.dismissed = False  # by the watchdog, which gave its work away

    def run(self) -> None:
        while not self._leaving() and not self._engine.retire(self):
            generation = self._engine.generation
            try:
                if not self._work_once():
                    self._engine.wait(generation, IDLE_SECONDS)
            except Exception:
                log.exception("action=worker_trouble")
                self._engine.pause(TROUBLE_SECONDS)
        database.close()

    # The Monitor of services.deliver.

    def now(self) -> int:
        return now_ms()

    def stopping(self) -> bool:
        return self._leaving()

    def at(self, stage: str, email_id: int, lease: int) -> None:
        progress = self.progress
        progress.email_id, progress.lease, progress.since, progress.stage = (
            email_id,
            lease,
            monotonic(),
            stage,
        )

    def is_kept_waiting(self) -> bool:
        """A server has been silent for so long that someone else should look after the other mail."""
        return bool(self.progress.stage) and monotonic() - self.progress.since > PATIENCE_SECONDS

    def _leaving(self) -> bool:
        return self.dismissed or self._engine.stopping

    def _work_once(self) -> bool:
        """Claim and deliver one batch; False when nothing may go."""
        return any(self._try(config) for config in claims.candidates(now_ms()))

    def _try(self, config: SmtpConfig) -> bool:
        pool, engine = self._engine.pool, self._engine
        connection = pool.take(config)
        want = engine.pace.batch_size(config.id)
        try:
            claim = claims.claim(
                config.id, engine.instance_id, now_ms(), want, connected=connection is not None
            )
        except BaseException:
            if connection is not None:
                pool.discard(config.id, connection)
            raise
        if claim is None:
            if connection is not None:
                pool.put_back(config, connection)
            return False
        if len(claim.emails) >= want:
            engine.wake()  # there may be more: let another worker look
        self._deliver(claim, connection)
        return True

    def _deliver(self, claim: Claim, kept: Connection | None) -> None:
        batch = leased_of(claim)
        began = monotonic()
        self.at("connect", batch[0].email_id, claim.lease)
        try:
            connection = kept or self._engine.pool.open(claim.config)
        except SmtpError as error:
            self._until_done(partial(self._connection_failed, batch, error))
            self.progress.stage = ""
            return
        opened = monotonic()
        delivery = Delivery(self._engine.relay, connection, batch, self, self._reopener(claim, kept))
        self.progress.connection = connection
        try:
            delivery.run()
        except Exception:
            log.exception("action=delivery_trouble config=%s", claim.config.id)
            delivery.connection.close()
        finally:
            self._until_done(delivery.settle)
            self.progress.stage, self.progress.connection = "", None
            self._engine.pool.keep(claim.config, delivery.connection)
        self._engine.pace.learn(
            claim.config.id, (monotonic() - (opened if kept is None else began)) / len(batch)
        )

    def _connection_failed(self, batch: list[Leased], error: SmtpError) -> None:
        connection_failed(self._engine.relay, batch, error, now_ms())

    def _reopener(self, claim: Claim, kept: Connection | None) -> Callable[[], Connection] | None:
        if kept is None:
            return None

        def reopen() -> Connection:
            # The dead connection's slot serves the new one.
            self.progress.connection = self._engine.pool.open(claim.config)
            return self.progress.connection

        return reopen

    def _until_done(self, job: Callable[[], None]) -> None:
        """What became of an email must be written, however long the disk is full or the database away."""
        while True:
            try:
                job()
                return
            except Exception:
                log.exception("action=record_trouble")
                if self._leaving():
                    return
                self._engine.pause(TROUBLE_SECONDS)
