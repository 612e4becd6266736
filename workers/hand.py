"""One claimed batch on its way: connect, deliver, record, and give back what was not sent, whatever fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from models.database import write
from services import claim as claims
from services import health, health_checks, record
from services.claim import Claim
from services.deliver import Delivery, connection_failed, leased_of
from services.leased import Leased
from services.smtp import Connection, SmtpError
from utils import hub
from utils.clock import monotonic, now_ms

if TYPE_CHECKING:
    from workers.engine import Engine

log = logging.getLogger("mailferry.hand")

TROUBLE_SECONDS = 1.0
CONNECT = "connect"
RECORDING = "recording"  # the stage at which not a server but our own disk is waited for


class Progress(NamedTuple):
    """What a hand is at, replaced as a whole, for other threads read it. `since` is monotonic; `stage` is empty
    when it is done."""

    stage: str = ""
    since: float = 0.0
    email_id: int = 0
    connection: Connection | None = None


class Hand:
    """The Monitor of services.deliver. Runs in a dialog of its worker's hub."""

    def __init__(self, engine: Engine, claim: Claim, connection: Connection | None) -> None:
        self._engine = engine
        self._ending = threading.Lock()
        self.claim = claim
        self._began, self._size = 0.0, 0  # of the batch at hand
        self.dismissed = False  # by the watchdog, which gave its work away
        self.progress = Progress(CONNECT, monotonic(), claim.emails[0].id, connection)

    def now(self) -> int:
        return now_ms()

    def stopping(self) -> bool:
        return self.dismissed or self._engine.stopping

    def at(self, stage: str, email_id: int) -> None:
        self.progress = Progress(stage, monotonic(), email_id, self.progress.connection)

    def is_connecting(self) -> bool:
        return self.progress.stage == CONNECT and self.claim.opens_connection

    def dismiss(self, hung: Progress) -> bool:
        """Nobody waits for this hand any more; its slot is the caller's. False: it went on meanwhile."""
        with self._ending:
            if self.progress is hung:
                self.dismissed = True
            return self.dismissed

    def deliver(self) -> None:
        """Whatever fails in here, each email gets its outcome or its place back, and the slot has one end."""
        claim, connection, troubled = self.claim, self.progress.connection, False
        finish: Callable[[], None] = partial(_give_back, claim)
        try:
            batch = leased_of(claim)
            try:
                connection = connection or self._open()
            except SmtpError as error:
                finish = partial(self._connection_failed, batch, error)
                return
            self.progress = self.progress._replace(connection=connection)
            delivery = Delivery(self._engine.relay, connection, batch, self, self._more)
            finish = delivery.settle
            self._began, self._size = monotonic(), len(batch)
            delivery.run()
        except Exception as exc:
            log.exception("action=delivery_trouble config=%s", claim.config.id)
            health_checks.note(exc)
            troubled = True
            if connection is not None:
                connection.close()
        finally:
            self.at(RECORDING, claim.emails[0].id)
            self._until_done(finish)
            if troubled:  # the same mail comes next, and may fare no better
                self._rest()
            self._let_go(connection)

    def _open(self) -> Connection:
        """Names, TLS and greetings block, so they are waited for in a thread."""
        here = hub.current()
        opening = partial(self._engine.pool.open, self.claim.config)
        opened: Connection = here.in_thread(opening) if here else opening()
        return opened

    def _connection_failed(self, batch: list[Leased], error: SmtpError) -> None:
        connection_failed(self._engine.relay, batch, error, now_ms())

    def _more(self, most: int) -> list[Leased]:
        """Further emails for the connection at hand, as long as no other config that could go has more urgent ones."""
        claim, engine = self.claim, self._engine
        engine.pace.learn(claim.config.id, (monotonic() - self._began) / self._size)
        if claim.probe or not self._is_next():
            return []
        further = claims.claim(
            claim.config.id, engine.instance_id, None, min(most, engine.pace.batch_size(claim.config.id)),
            connected=True, known=claim.config, lease=claim.lease,
        )  # fmt: skip
        batch = self._read(further) if further else []
        self._began, self._size = monotonic(), len(batch)
        return batch

    def _is_next(self) -> bool:
        mine, engine, crowd = self.claim.config.id, self._engine, self._engine.crowd()
        for one in claims.candidates(now_ms()):
            if one.id == mine or engine.would_carry(one, crowd):
                return bool(one.id == mine)
        return False

    def _read(self, further: Claim) -> list[Leased]:
        try:
            return leased_of(further)
        except Exception:
            record.give_back([one.id for one in further.emails], further.lease, now_ms())
            raise

    def _let_go(self, connection: Connection | None) -> None:
        with self._ending:
            self.progress = Progress()
        if not self.dismissed:
            self._engine.pool.keep(self.claim.config, connection)
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
                self._rest()

    def _rest(self) -> None:
        here = hub.current()
        here.sleep(TROUBLE_SECONDS) if here else self._engine.pause(TROUBLE_SECONDS)


def _give_back(claim: Claim) -> None:
    """Nothing was begun."""
    record.give_back([one.id for one in claim.emails], claim.lease, now_ms())
    config = claim.config
    tried = health.Tried(config.id, config.max_connections, claim.instance_id, claim.probe, None)
    write(lambda: health.end_probe(tried))
