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
MOST_CONNECTING = 64  # of these, in a thread each until the server has let us in
PATIENCE_SECONDS = 3.0


def may_connect(candidate: Candidate, hands: Sequence[Hand]) -> bool:
    """Whether another connection may be opened for this config now.

    A server that keeps us waiting at the door is not asked for a second connection. The configs of one tenant may keep
    half of all waiting, so that there is always room for the others'.
    """
    connecting = [one for one in hands if one.is_connecting()]
    if len(hands) >= MOST or len(connecting) >= MOST_CONNECTING:
        return False
    late = monotonic() - PATIENCE_SECONDS
    patient = [one for one in connecting if one.progress.since < late and not one.dismissed]
    if any(one.claim.config.id == candidate.id for one in patient):
        return False
    theirs = [one for one in hands if one.claim.config.tenant == candidate.tenant]
    return len(theirs) < MOST // 2 and sum(one in connecting for one in theirs) < MOST_CONNECTING // 2
