"""How often a credential may call, per group of endpoints. Counted per process, over a moving window."""

from __future__ import annotations

from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerMinute, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from services.errors import RateLimitedError
from services.principal import Principal
from utils.clock import SECOND

# A settings table replaces single groups. Service keys have none, unless the key itself carries one.
DEFAULTS = {
    "send": "6000/minute",
    "read": "6000/minute",
    "admin": "300/minute",
    "test": "20/minute",
    "sandbox": "600/minute",
    "login": "10/minute",
}


@dataclass(frozen=True, slots=True)
class Room:
    """What is left of the tightest limit. `reset` in ms: when a slot frees."""

    limit: int
    remaining: int
    reset: int


class RateLimits:
    """One per process."""

    def __init__(self, table: dict[str, str]) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._groups = {group: parse(rate) for group, rate in (DEFAULTS | table).items()}

    def check(self, who: Principal, group: str, now: int) -> Room | None:
        """Count one call. RateLimitedError over a limit; None where there is none."""
        identity = f"key:{who.key_id}" if who.key_id else f"token:{who.tenant}:{who.user}"
        limits: list[tuple[RateLimitItem, str]] = []
        if not who.service and group in self._groups:
            limits.append((self._groups[group], group))
        if who.rate_limit:
            limits.append((RateLimitItemPerMinute(who.rate_limit), "own"))
        rooms = [self._hit(limit, identity, name, now) for limit, name in limits]
        return min(rooms, key=lambda room: room.remaining, default=None)

    def check_address(self, address: str, group: str, now: int) -> None:
        """The same for callers that have no credential yet."""
        self._hit(self._groups[group], f"address:{address}", group, now)

    def _hit(self, limit: RateLimitItem, identity: str, group: str, now: int) -> Room:
        allowed = self._limiter.hit(limit, identity, group)
        stats = self._limiter.get_window_stats(limit, identity, group)
        reset = round(stats.reset_time * SECOND)
        if not allowed:
            wait = max(1, -(-(reset - now) // SECOND))
            raise RateLimitedError(
                f"more than {limit.amount} calls per {limit.GRANULARITY.name} in the group {group!r}: wait {wait} s",
                limit=limit.amount, reset=reset, retry_after=wait,
            )  # fmt: skip
        return Room(limit.amount, max(0, stats.remaining), reset)
