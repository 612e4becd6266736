"""How many deliveries may be under way, and for whom.

A delivery that waits for a server costs little, but their number must have a bound, and no bound may let a few silent
servers use it up: the mail of all others would wait with them.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.claim import Candidate
from utils.clock import monotonic
from workers.hand import Hand

MOST = 400  # deliveries of a process
MOST_CONNECTING = (
    64  # of these, begun within PATIENCE_SECONDS: each is a thread until the server has let us in
)
PATIENCE_SECONDS = 3.0


def may_connect(candidate: Candidate, hands: Sequence[Hand]) -> bool:
    """Whether another connection may be opened for this config now.

    A server that keeps us waiting at the door is not asked for a second connection. The configs of one tenant may keep
    half of all waiting, so that there is always room for the others'. Those that wait longer make room for others to
    try: a tenant with fifty silent servers has one that works, too.
    """
    late = monotonic() - PATIENCE_SECONDS
    connecting = [one for one in hands if one.is_connecting()]
    fresh = [one for one in connecting if one.progress.since >= late]
    if len(hands) >= MOST or len(fresh) >= MOST_CONNECTING:
        return False
    if any(
        one.claim.config.id == candidate.id and one not in fresh and not one.dismissed for one in connecting
    ):
        return False
    theirs = [one for one in hands if one.claim.config.tenant == candidate.tenant]
    return len(theirs) < MOST // 2 and sum(one in fresh for one in theirs) < MOST_CONNECTING // 2
