"""Frees what hangs. The transport bounds every read and write; this is for what it cannot bound, such as DNS."""

from __future__ import annotations

import logging
from collections.abc import Callable
from weakref import WeakSet

from services import recover
from services.relay import Policy
from utils.clock import monotonic, now_ms
from workers.connections import ConnectionPool
from workers.hand import Hand, Progress

log = logging.getLogger("mailferry.watchdog")

# Seconds without progress, above the sum of the transport's own deadlines for the stage. Other stages, such as the
# wait for our own disk, have no limit: what is known of an email must not be given up.
LIMITS = {"connect": 720.0, "envelope": 1_200.0, "body": 1_800.0, "dot": 660.0}
GRACE_SECONDS = 30.0  # for the thread to end by itself once its connection is shut


class Watchdog:
    def __init__(
        self,
        hands: Callable[[], list[Hand]],
        pool: ConnectionPool,
        policy: Policy,
        limits: dict[str, float] = LIMITS,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._hands = hands
        self._pool = pool
        self._policy = policy
        self._limits = limits
        self._grace = grace
        self._given_up: WeakSet[Hand] = WeakSet()
        self._unheld: set[int] = set()

    def look(self) -> None:
        for hand in self._hands():
            progress = hand.progress  # once: it changes at any moment
            limit = self._limits.get(progress.stage)
            if limit is None or hand in self._given_up:
                continue
            over = monotonic() - progress.since - limit
            if over > self._grace:
                self._give_up(hand, progress)
            elif over > 0 and progress.connection is not None:
                log.warning("action=watchdog_abort stage=%s email=%s", progress.stage, progress.email_id)
                progress.connection.abort()

    def look_for_unheld(self, instance_id: int) -> None:
        """Leases of ours that no hand has: the claim was committed, and its answer lost on the way to us.

        Only what was seen at the last look too: a hand may just be taking it up, or have let it go.
        """
        stored = recover.leases_of(instance_id)
        unheld = stored - {one.claim.lease for one in self._hands()}
        for lease in unheld & self._unheld:
            log.warning("action=unheld_lease_ended lease=%s", lease)
            recover.take_back_unheld(lease, now_ms())
        self._unheld = unheld

    def _give_up(self, hand: Hand, progress: Progress) -> None:
        if not hand.dismissed:  # else the lease could not be taken back at the last look
            if not hand.dismiss(progress):
                return
            self._pool.release_slot(hand.claim.config.id)
        log.error("action=watchdog_replace stage=%s email=%s", progress.stage, progress.email_id)
        why = f"the delivery hung at {progress.stage}"
        recover.take_back_lease(self._policy, hand.claim.lease, why, now_ms())
        self._given_up.add(hand)
