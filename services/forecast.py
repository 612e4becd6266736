"""When an email will go: after the queue ahead of it, at the pace and within the limits of the configs that serve it.

Pure. The future is played through as claims will play it: whichever config is free first takes the next email, and
what it takes fills its own minute buckets. Emails ahead cost the same, so each config's sendings are a series of
its own, which repeats once its windows hold nothing but its own past: an hour's pattern every 61 minutes, a day's
every 1,441. So a million emails cost no more than a few days of minutes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from utils.clock import DAY, MINUTE

HOUR_SPAN = 61  # minutes whose buckets are summed: the current one and the 60 before
DAY_SPAN = 1_441
HORIZON = 366 * DAY
_SETTLED = 5 * DAY_SPAN  # minutes after which the last pattern is taken for the one that repeats


@dataclass(frozen=True, slots=True)
class Account:
    """A config as a forecast sees it. Units are the limit's: 1 an email, or its recipients. A limit of 0 is none."""

    used: dict[int, int]  # units by minute (epoch ms // 60,000)
    hourly_limit: int
    daily_limit: int
    pace: int  # ms from one email to the next, 1 to 60,000
    free_at: int  # nothing goes before
    cost: int = 1  # units of an email ahead
    own: int = 1  # units of the email asked about


def expected_at(accounts: Sequence[Account], position: int, now: int, not_before: int = 0) -> int | None:
    """When the email with `position` others ahead of it goes (ms); None beyond a year, or never."""
    streams = [_Stream(account, now) for account in accounts]
    end = now + HORIZON
    if position and sum(one.sent_by(end) for one in streams) < position:
        return None
    shares = _shares(streams, position, now, end)
    times = [one.slot_after(share, not_before) for one, share in zip(streams, shares, strict=True)]
    first = min((time for time in times if time is not None), default=None)
    return first if first is not None and first <= end else None


def frees_at(used: dict[int, int], limit: int, span: int, units: int, now: int) -> int | None:
    """When a window of `span` buckets has room for `units` more; None when it is too small for them."""
    return _free(_windows(used, [(limit, span)], now), units, now) if units <= limit else None


def _shares(streams: Sequence[_Stream], position: int, now: int, end: int) -> list[int]:
    """How many of the emails ahead each config takes. Of equal times, the first config's counts first."""
    if not position:
        return [0] * len(streams)
    last = now + bisect_left(
        range(now, end), position, key=lambda time: sum(one.sent_by(time) for one in streams)
    )
    shares = [one.sent_by(last - 1) for one in streams]
    for index, one in enumerate(streams):
        shares[index] += min(one.sent_by(last) - shares[index], position - sum(shares))
    return shares


class _Window:
    """The sum over one window of minute buckets, moved forward in time."""

    def __init__(self, used: dict[int, int], limit: int, span: int, minute: int) -> None:
        self.limit, self.span = limit, span
        self._minutes = sorted(one for one in used if one > minute - span)
        self._units = [used[one] for one in self._minutes]
        self._oldest = 0
        self.total = sum(self._units)

    def frees(self, units: int, time: int) -> int:
        """The first moment from `time` on with room for `units`, which must not exceed the limit."""
        self._forget(time // MINUTE)
        while self.total + units > self.limit:
            time = (self._minutes[self._oldest] + self.span) * MINUTE
            self._forget(time // MINUTE)
        return time

    def spend(self, minute: int, units: int) -> None:
        at = bisect_right(
            self._minutes, minute
        )  # not at the end only where a clock set back left later buckets
        self._minutes.insert(at, minute)
        self._units.insert(at, units)
        self.total += units

    def shape(self, minute: int) -> list[tuple[int, int]]:
        """The buckets that count in `minute`, relative to it."""
        self._forget(minute)
        counted = zip(self._minutes[self._oldest :], self._units[self._oldest :], strict=True)
        return [(one - minute, units) for one, units in counted]

    def _forget(self, minute: int) -> None:
        while self._oldest < len(self._minutes) and self._minutes[self._oldest] <= minute - self.span:
            self.total -= self._units[self._oldest]
            self._oldest += 1


def _windows(used: dict[int, int], limits: list[tuple[int, int]], time: int) -> list[_Window]:
    return [_Window(used, limit, span, time // MINUTE) for limit, span in limits]


def _free(windows: list[_Window], units: int, time: int) -> int:
    """The first moment from `time` on at which every window has room."""
    before = -1
    while time != before:
        before = time
        for window in windows:
            time = window.frees(units, time)
    return time


class _Stream:
    """The sendings of one config if mail never ended: blocks within a minute, played until they repeat."""

    def __init__(self, account: Account, now: int) -> None:
        self.account = account
        self.start = max(now, account.free_at)
        spans = ((account.hourly_limit, HOUR_SPAN), (account.daily_limit, DAY_SPAN))
        self.limits = [(limit, span) for limit, span in spans if limit]
        self.starts: list[int] = []  # of each block, ms
        self.totals = [0]  # emails before each block, and after the last
        self.cycle = 0  # ms; 0 while not found
        self.cycle_start = 0  # ms
        self.cycle_emails = 0
        self._blocks = self._play()

    def fits(self, units: int) -> bool:
        return all(units <= limit for limit, _ in self.limits)

    def sent_by(self, time: int) -> int:
        """Emails that have gone at `time`."""
        if time < self.start or not self.fits(self.account.cost):
            return 0
        while not self.cycle and (not self.starts or self.starts[-1] <= time):
            self._extend()
        rounds = 0
        if self.cycle and time >= self.cycle_start + self.cycle:
            rounds = (time - self.cycle_start) // self.cycle
            time -= rounds * self.cycle
        block = bisect_right(self.starts, time) - 1
        emails = rounds * self.cycle_emails
        if block >= 0:
            within = (time - self.starts[block]) // self.account.pace + 1
            emails += min(self.totals[block] + within, self.totals[block + 1])
        return emails

    def slot_after(self, emails: int, not_before: int) -> int | None:
        """When the config can take the email asked about, after `emails` others."""
        if not self.fits(self.account.own):
            return None
        rounds = max(0, -(-(emails - self.totals[-1]) // self.cycle_emails)) if self.cycle else 0
        shift = rounds * self.cycle
        used, cursor = self._after(emails - rounds * self.cycle_emails)
        cursor = max(cursor, not_before - shift)
        return _free(_windows(used, self.limits, cursor), self.account.own, cursor) + shift

    def _after(self, emails: int) -> tuple[dict[int, int], int]:
        """Use by minute, and when the next may follow, once so many have gone."""
        used, cursor = dict(self.account.used), self.start
        for block in range(bisect_left(self.totals, emails)):
            count = min(emails, self.totals[block + 1]) - self.totals[block]
            minute = self.starts[block] // MINUTE
            used[minute] = used.get(minute, 0) + count * self.account.cost
            cursor = self.starts[block] + count * self.account.pace
        return used, cursor

    def _extend(self) -> None:
        block = next(self._blocks, None)
        if block is not None:
            self.starts.append(block[0])
            self.totals.append(self.totals[-1] + block[1])

    def _play(self) -> Iterator[tuple[int, int]]:
        """Blocks (start, emails), until they are found to repeat."""
        cursor, cost, pace = self.start, self.account.cost, self.account.pace
        windows = _windows(self.account.used, self.limits, cursor)
        period, begin = self._period(), cursor // MINUTE
        boundary, emails, shape = begin + period, 0, None
        while True:
            cursor = _free(windows, cost, cursor)
            while cursor // MINUTE >= boundary:
                before, shape = shape, [cursor - boundary * MINUTE, *(one.shape(boundary) for one in windows)]
                self.cycle_emails, emails = self.totals[-1] - emails, self.totals[-1]
                if self.cycle_emails and (before == shape or boundary - begin > _SETTLED):
                    self.cycle, self.cycle_start = period * MINUTE, (boundary - period) * MINUTE
                    return
                boundary += period
            in_minute = (MINUTE - 1 - cursor % MINUTE) // pace + 1
            count = min([in_minute, *((one.limit - one.total) // cost for one in windows)])
            for window in windows:
                window.spend(cursor // MINUTE, count * cost)
            yield cursor, count
            cursor += count * pace

    def _period(self) -> int:
        """Minutes after which the pattern will repeat, once the use before now has left the windows."""
        hourly, daily = self.account.hourly_limit, self.account.daily_limit
        return DAY_SPAN if daily and not 0 < 24 * hourly <= daily else HOUR_SPAN
