"""A thread that claims and delivers, over many connections at a time.

It looks for mail that may go; each batch that it claims is carried by a hand, in a dialog of the thread's hub.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from models.database import database
from models.smtp_config import SmtpConfig
from services import claim as claims
from services import health_checks
from services.claim import Candidate, Claim
from services.smtp import Connection
from utils.clock import monotonic, now_ms
from utils.hub import Hub
from workers.crew import Crowd
from workers.hand import TROUBLE_SECONDS, Hand

if TYPE_CHECKING:
    from workers.engine import Engine

log = logging.getLogger("mailferry.worker")

IDLE_SECONDS = 5.0  # the engine wakes workers; this is only the net below
AGAIN_SECONDS = 0.002  # between two looks, when mail comes in that may not go: every accepted email tells us

# While hands are at work: they find their next batch by themselves, so that a look is for mail of other configs, and
# for connections that a config has earned.
TOLD_SECONDS = 0.005
BUSY_SECONDS = 0.05


class Worker(threading.Thread):
    def __init__(self, engine: Engine, number: int) -> None:
        super().__init__(name=f"delivery-{number}", daemon=True)
        self._engine = engine
        self._hub: Hub | None = None
        self._seen = -1  # the engine's generation at the last look
        self._looked = 0.0  # when that was
        self._looking = False
        self.hands: list[Hand] = []  # replaced as a whole, for other threads read it

    def wake(self) -> bool:
        """Whether it slept."""
        return self._hub is not None and self._hub.wake()

    def run(self) -> None:
        self._hub = hub = Hub()
        while self.hands or self._looking or not self._engine.stopping:
            try:
                hub.turn(self._look(hub))
            except Exception as exc:
                log.exception("action=worker_trouble")
                health_checks.note(exc)
                self._engine.pause(TROUBLE_SECONDS)
        database.close()
        hub.close()

    def _look(self, hub: Hub) -> float:
        """Begin to look for mail when it is time to; the seconds until it is time again."""
        if self._looking or self._engine.stopping:
            return IDLE_SECONDS
        told = self._engine.generation != self._seen
        if self.hands:
            pause = TOLD_SECONDS if told else BUSY_SECONDS
        else:
            pause = AGAIN_SECONDS if told else IDLE_SECONDS
        left = self._looked + pause - monotonic()
        if left > 0:
            return left
        self._seen, self._looking = self._engine.generation, True
        hub.spawn(self._claim_all)
        return 0.0

    def _claim_all(self) -> None:
        """Claim as long as there is mail that may go, and someone to carry it."""
        try:
            while not self._engine.stopping and self._claim_one():
                pass
        except Exception as exc:
            log.exception("action=worker_trouble")
            health_checks.note(exc)
            if self._hub is not None:
                self._hub.sleep(TROUBLE_SECONDS)
        finally:
            self._looked, self._looking = monotonic(), False

    def _claim_one(self) -> bool:
        engine, crowd = self._engine, self._engine.crowd()
        return any(
            self._claim_for(one, crowd) for one in claims.candidates(now_ms()) if engine.may_carry(one, crowd)
        )

    def _claim_for(self, candidate: Candidate, crowd: Crowd) -> bool:
        config = SmtpConfig.get_or_none(SmtpConfig.id == candidate.id)
        if config is None:
            return False
        pool = self._engine.pool
        kept = pool.take(config)
        if kept is None and not (candidate.may_connect and crowd.may_connect(candidate)):
            return False
        claim = None
        try:
            claim = self._claim(config, kept)
        finally:
            if claim is None and kept is not None:
                pool.put_back(config, kept)
        if claim is not None:
            self._carry(claim, kept)
        return claim is not None

    def _claim(self, config: SmtpConfig, kept: Connection | None) -> Claim | None:
        """Of the settings that we know: the connection kept is one to those."""
        engine = self._engine
        with engine.pool.changing(config.id):
            claim = claims.claim(
                config.id, engine.instance_id, None, engine.pace.batch_size(config.id),
                connected=kept is not None, known=config,
            )  # fmt: skip
            if claim is not None and claim.opens_connection:
                engine.pool.slot_taken(config.id)
        return claim

    def _carry(self, claim: Claim, kept: Connection | None) -> None:
        assert self._hub is not None
        hand = Hand(self._engine, claim, kept)
        self.hands = [*self.hands, hand]

        def carry() -> None:
            try:
                hand.deliver()
            finally:
                self.hands = [one for one in self.hands if one is not hand]
                self._engine.wake()  # its connection is free, or the config has another state

        self._hub.spawn(carry)
