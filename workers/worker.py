"""A thread that claims and delivers, over and over."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from models.database import database, write
from models.smtp_config import SmtpConfig
from services import claim as claims
from services import health, record
from services.claim import Claim
from services.deliver import Delivery, connection_failed, leased_of
from services.leased import Leased
from services.smtp import Connection, SmtpError
from utils.clock import monotonic, now_ms

if TYPE_CHECKING:
    from workers.engine import Engine

log = logging.getLogger("mailferry.worker")

IDLE_SECONDS = 5.0  # the engine wakes workers; this is only the net below
TROUBLE_SECONDS = 1.0
PATIENCE_SECONDS = 3.0
RECORDING = "recording"  # the stage at which not a server but our own disk is waited for


class Progress(NamedTuple):
    """What a worker is at, replaced as a whole, for other threads read it. `since` is monotonic; `stage` is empty
    when idle."""

    stage: str = ""
    since: float = 0.0
    email_id: int = 0
    lease: int = 0
    config_id: int = 0
    tenant: str = ""
    connection: Connection | None = None


IDLE = Progress()


class Worker(threading.Thread):
    def __init__(self, engine: Engine, number: int) -> None:
        super().__init__(name=f"delivery-{number}", daemon=True)
        self._engine = engine
        self.progress = IDLE
        self.dismissed = False  # by the watchdog, which gave its work away
        self._ending = threading.Lock()

    def run(self) -> None:
        while not self._leaving() and not self._engine.staff.retire(self):
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
        self.progress = Progress(stage, monotonic(), email_id, lease, *self.progress[4:])

    def is_kept_waiting(self) -> bool:
        """A server has been silent for so long that someone else should look after the other mail."""
        progress = self.progress
        return progress.stage not in ("", RECORDING) and monotonic() - progress.since > PATIENCE_SECONDS

    def dismiss(self, hung: Progress) -> bool:
        """Nobody waits for this worker any more; its slot is the caller's. False: it came free meanwhile."""
        with self._ending:
            if self.progress.lease == hung.lease:
                self.dismissed = True
            return self.dismissed

    def _leaving(self) -> bool:
        return self.dismissed or self._engine.stopping

    def _work_once(self) -> bool:
        """Claim and deliver one batch; False when nothing may go."""
        waiting = self._engine.staff.waiting()
        return any(self._try(one.id) for one in claims.candidates(now_ms()) if not waiting.is_enough(one))

    def _try(self, config_id: int) -> bool:
        config = SmtpConfig.get_or_none(SmtpConfig.id == config_id)
        if config is None:
            return False
        pool, engine = self._engine.pool, self._engine
        kept = pool.take(config)
        want = engine.pace.batch_size(config.id)
        claim = None
        try:
            claim = self._claim(config, kept, want)
        finally:
            if claim is None and kept is not None:
                pool.put_back(config, kept)
        if claim is None:
            return False
        if len(claim.emails) >= want:
            engine.wake()  # there may be more: let another worker look
        self._deliver(claim, kept)
        return True

    def _claim(self, config: SmtpConfig, kept: Connection | None, want: int) -> Claim | None:
        """Of the settings that we know: the connection kept is one to those."""
        pool = self._engine.pool
        with pool.changing(config.id):
            claim = claims.claim(
                config.id, self._engine.instance_id, now_ms(), want, connected=kept is not None, known=config
            )  # fmt: skip
            if claim is not None and claim.opens_connection:
                pool.slot_taken(config.id)
        return claim

    def _deliver(self, claim: Claim, connection: Connection | None) -> None:
        """Whatever fails in here, each email gets its outcome or its place back, and the slot has one end."""
        finish: Callable[[], None] = partial(_give_back, claim)
        first, began = claim.emails[0], monotonic()
        self.progress = Progress(
            "connect", began, first.id, claim.lease, claim.config.id, claim.config.tenant, connection
        )
        try:
            batch = leased_of(claim)
            try:
                connection = connection or self._engine.pool.open(claim.config)
            except SmtpError as error:
                finish = partial(_connection_failed, self._engine, batch, error)
                return
            self.progress = self.progress._replace(connection=connection)
            opened = monotonic() if claim.opens_connection else began
            delivery = Delivery(self._engine.relay, connection, batch, self, partial(self._more, claim))
            finish = delivery.settle
            delivery.run()
            self._engine.pace.learn(claim.config.id, (monotonic() - opened) / max(1, delivery.carried))
        except Exception:
            log.exception("action=delivery_trouble config=%s", claim.config.id)
            if connection is not None:
                connection.close()
        finally:
            self.at(RECORDING, first.id, claim.lease)
            self._until_done(finish)
            self._let_go(claim.config, connection)

    def _more(self, claim: Claim) -> list[Leased]:
        """Further emails for the connection at hand, as long as no other config has more urgent ones."""
        config = claim.config
        first = next(claims.candidates(now_ms()), None)
        if claim.probe or first is None or first.id != config.id:
            return []
        further = claims.claim(
            config.id, self._engine.instance_id, now_ms(), self._engine.pace.batch_size(config.id),
            connected=True, known=config, lease=claim.lease,
        )  # fmt: skip
        return leased_of(further) if further else []

    def _let_go(self, config: SmtpConfig, connection: Connection | None) -> None:
        with self._ending:
            self.progress = IDLE
        if not self.dismissed:
            self._engine.pool.keep(config, connection)
        elif connection is not None:
            connection.close()

    def _until_done(self, job: Callable[[], None]) -> None:
        """What became of an email must be written, however long the disk is full or the database away."""
        while True:
            try:
                job()
                return
            except Exception:
                log.exception("action=record_trouble")
                if self._engine.stopping:
                    return
                self._engine.pause(TROUBLE_SECONDS)


def _connection_failed(engine: Engine, batch: list[record.Leased], error: SmtpError) -> None:
    connection_failed(engine.relay, batch, error, now_ms())


def _give_back(claim: Claim) -> None:
    """Nothing was begun."""
    record.give_back([one.id for one in claim.emails], claim.lease, now_ms())
    config = claim.config
    tried = health.Tried(config.id, config.max_connections, claim.instance_id, claim.probe, None)
    write(lambda: health.end_probe(tried))
