"""How many deliveries may be under way, and for whom.

A delivery that waits for a server costs little, but their number must have a bound, and no bound may let a few silent
servers use it up: the mail of all others would wait with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from services.claim import Candidate
from utils.clock import monotonic
from workers.hand import Hand

MOST = 400  # deliveries of a process
MOST_CONNECTING = (
    64  # of these, begun within PATIENCE_SECONDS: each is a thread until the server has let us in
)
PATIENCE_SECONDS = 3.0


class Crowd:
    """The deliveries under way, counted once for many questions."""

    def __init__(self, hands: Sequence[Hand]) -> None:
        late = monotonic() - PATIENCE_SECONDS
        connecting = [one for one in hands if one.is_connecting()]
        fresh = [one for one in connecting if one.progress.since >= late]
        self._all = len(hands)
        self._fresh = len(fresh)
        self._theirs = Counter(one.claim.config.tenant for one in hands)
        self._fresh_theirs = Counter(one.claim.config.tenant for one in fresh)
        self._at_the_door = {
            one.claim.config.id for one in connecting if one.progress.since < late and not one.dismissed
        }

    @property
    def is_full(self) -> bool:
        return self._all >= MOST

    def may_connect(self, candidate: Candidate) -> bool:
        """Whether another connection may be opened for this config now.

        A server that keeps us waiting at the door is not asked for a second connection. The configs of one tenant may
        keep half of all waiting, so that there is always room for the others'. Those that wait longer make room for
        others to try: a tenant with fifty silent servers has one that works, too.
        """
        if self.is_full or self._fresh >= MOST_CONNECTING or candidate.id in self._at_the_door:
            return False
        tenant = candidate.tenant
        return self._theirs[tenant] < MOST // 2 and self._fresh_theirs[tenant] < MOST_CONNECTING // 2
