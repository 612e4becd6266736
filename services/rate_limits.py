"""How often a credential may call, per group of endpoints. Counted per process, over a moving window.

Not the `limits` package: its memory storage starts a thread every 10 ms of traffic, which took longer than all else
that a request does before it is stored, and reads the clock itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from ipaddress import ip_network

from services.errors import RateLimitedError
from services.principal import Principal
from utils.clock import DAY, HOUR, MINUTE, SECOND

# A settings table replaces single groups. Service keys have none, unless the key itself carries one.
DEFAULTS = {
    "send": "6000/minute",
    "read": "6000/minute",
    "admin": "300/minute",
    "test": "20/minute",
    "sandbox": "600/minute",
    "login": "10/minute",
    # Inbound: accounts, folders, messages, drafts. `accounts` is whatever has no group of its own.
    "list_accounts": "100/minute",
    "create_account": "10/minute",
    "sync": "5/minute",
    "compose": "10/minute",
    "accounts": "50/minute",
    "downloads": "300/minute",  # a page shows many images; by links without a credential: of each account
}
_SPANS = {"second": SECOND, "minute": MINUTE, "hour": HOUR, "day": DAY}
_MANY = 10_000  # windows; those at rest are forgotten above it


@dataclass(frozen=True, slots=True)
class Rate:
    calls: int
    span: int  # ms

    @classmethod
    def parse(cls, text: str) -> Rate:
        """`600/minute`"""
        calls, _, unit = text.partition("/")
        return cls(int(calls), _SPANS[unit])


@dataclass(frozen=True, slots=True)
class Room:
    """What is left of the tightest limit. `reset` in ms: when a slot frees."""

    limit: int
    remaining: int
    reset: int


class RateLimits:
    """One per process."""

    def __init__(self, table: dict[str, str]) -> None:
        self._groups = {group: Rate.parse(rate) for group, rate in (DEFAULTS | table).items()}
        self._windows: dict[tuple[str, str], deque[int]] = {}

    def check(self, who: Principal, group: str, now: int) -> Room | None:
        """Count one call. RateLimitedError over a limit; None where there is none."""
        rooms = []
        identity = f"key:{who.key_id}" if who.key_id else f"token:{who.tenant}:{who.user}"
        if not who.service and group in self._groups:
            rooms.append(self._count(self._groups[group], identity, group, now))
        if who.rate_limit:
            rooms.append(self._count(Rate(who.rate_limit, MINUTE), identity, "of this key", now))
        return min(rooms, key=lambda room: room.remaining, default=None)

    def check_address(self, address: str, group: str, now: int) -> None:
        """The same for callers that have no credential yet."""
        self._count(self._groups[group], f"address:{neighbourhood(address)}", group, now)

    def check_link(self, account_id: str, group: str, now: int) -> None:
        """The same for links that need none: whoever has them, they are of this account."""
        self._count(self._groups[group], f"account:{account_id}", group, now)

    def _count(self, rate: Rate, identity: str, group: str, now: int) -> Room:
        """Without a lock: threads that meet exactly at the limit may each take its last place, which is no harm."""
        window = self._windows.get((identity, group))
        if window is None:
            self._forget_idle(now)
            window = self._windows.setdefault((identity, group), deque())
        while window and window[0] <= now - rate.span:
            window.popleft()
        if len(window) >= rate.calls:
            raise _refused(rate, group, window[0] + rate.span, now)
        window.append(now)
        return Room(rate.calls, rate.calls - len(window), window[0] + rate.span)

    def _forget_idle(self, now: int) -> None:
        if len(self._windows) >= _MANY:
            busy = {
                key: window
                for key, window in list(self._windows.items())
                if window and window[-1] > now - DAY
            }
            self._windows = busy if len(busy) < _MANY else {}


def neighbourhood(address: str) -> str:
    """What one caller has for itself: of IPv6 that is a whole network of 64 bits."""
    if ":" not in address:
        return address
    try:
        return str(ip_network(f"{address.partition('%')[0]}/64", strict=False))
    except ValueError:
        return address


def _refused(rate: Rate, group: str, reset: int, now: int) -> RateLimitedError:
    wait = max(1, -(-(reset - now) // SECOND))
    message = f"more than {rate.calls} calls in {rate.span // SECOND} s (group {group}): wait {wait} s"
    return RateLimitedError(message, limit=rate.calls, reset=reset, retry_after=wait)
