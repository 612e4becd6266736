"""The forecast against a simulation that sends one email after the other and looks at every minute."""

from __future__ import annotations

import time
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.forecast import HORIZON, HOUR_SPAN, Account, expected_at, frees_at
from utils.clock import DAY, HOUR, MINUTE

NOW = 29_000_000 * MINUTE + 59_000
M = NOW // MINUTE


def room_at(account: Account, used: dict[int, int], minute: int, units: int) -> bool:
    hour = sum(n for m, n in used.items() if m >= minute - 60)
    day = sum(n for m, n in used.items() if m >= minute - 1_440)
    return not (
        (account.hourly_limit and hour + units > account.hourly_limit)
        or (account.daily_limit and day + units > account.daily_limit)
    )


def slot(account: Account, used: dict[int, int], cursor: int, units: int) -> int | None:
    if any(limit and units > limit for limit in (account.hourly_limit, account.daily_limit)):
        return None
    while not room_at(account, used, cursor // MINUTE, units):
        cursor = (cursor // MINUTE + 1) * MINUTE
    return cursor


def simulate(accounts: list[Account], position: int, now: int, not_before: int) -> int | None:
    used = [dict(one.used) for one in accounts]
    cursors = [max(now, one.free_at) for one in accounts]
    for _ in range(position):
        slots = [
            (slot(a, u, c, a.cost), n)
            for n, (a, u, c) in enumerate(zip(accounts, used, cursors, strict=True))
        ]
        able = [(at, n) for at, n in slots if at is not None]
        if not able:
            return None
        at, n = min(able)
        used[n][at // MINUTE] = used[n].get(at // MINUTE, 0) + accounts[n].cost
        cursors[n] = at + accounts[n].pace
    slots_own = [
        slot(a, u, max(c, not_before), a.own) for a, u, c in zip(accounts, used, cursors, strict=True)
    ]
    return min((at for at in slots_own if at is not None), default=None)


accounts_made = st.builds(
    Account,
    used=st.dictionaries(st.integers(M - 1_500, M + 5), st.integers(1, 9), max_size=12),
    hourly_limit=st.integers(0, 12),
    daily_limit=st.integers(0, 60),
    pace=st.sampled_from([1, 7, 100, 999, 20_000, 59_999, 60_000]),
    free_at=st.one_of(st.just(0), st.integers(NOW - MINUTE, NOW + 3 * HOUR)),
    cost=st.integers(1, 3),
    own=st.integers(1, 5),
)


@settings(max_examples=50, deadline=None)
@example([Account({M + 1: 1}, hourly_limit=1, daily_limit=0, pace=1, free_at=0)], 1, 0)  # a clock set back
@given(
    st.lists(accounts_made, min_size=1, max_size=3), st.integers(0, 90), st.sampled_from([0, NOW + 5 * HOUR])
)
def test_it_says_what_a_naive_simulation_says(
    accounts: list[Account], position: int, not_before: int
) -> None:
    assert expected_at(accounts, position, NOW, not_before) == simulate(accounts, position, NOW, not_before)


def config(**changes: int) -> Account:
    return replace(Account(used={}, hourly_limit=0, daily_limit=0, pace=100, free_at=0), **changes)  # type: ignore[arg-type]


def test_fifty_an_hour_spent_in_the_last_second_of_a_minute_free_a_minute_after_the_hour() -> None:
    spent = replace(config(hourly_limit=50), used={M: 50})
    assert expected_at([spent], 0, NOW) == (M + HOUR_SPAN) * MINUTE
    assert expected_at([spent], 49, NOW) == (M + HOUR_SPAN) * MINUTE + 49 * 100
    assert expected_at([spent], 50, NOW) == (M + 2 * HOUR_SPAN) * MINUTE


def test_what_goes_before_takes_room_in_the_next_windows_too() -> None:
    assert expected_at([config(hourly_limit=1, daily_limit=3)], 3, NOW) == (M + 1_441) * MINUTE


def test_a_pace_that_divides_no_minute_is_kept_over_days() -> None:
    assert expected_at([config(pace=7_001)], 40_000, NOW) == NOW + 40_000 * 7_001


def test_the_use_of_yesterday_holds_back_a_limit_that_an_hour_alone_would_not_reach() -> None:
    held = replace(config(hourly_limit=4, daily_limit=100), used={M - 1_000: 98})
    for position in (1, 2, 6, 150, 400):
        assert expected_at([held], position, NOW) == simulate([held], position, NOW, 0)


def test_two_configs_share_the_queue() -> None:
    assert expected_at([config(pace=1_000), config(pace=1_000)], 10, NOW) == NOW + 5_000


def test_a_config_that_is_free_later_is_waited_for_only_when_that_is_sooner() -> None:
    limited = config(hourly_limit=1)
    late = config(free_at=NOW + 10 * MINUTE)
    assert expected_at([limited, late], 0, NOW) == NOW
    assert expected_at([limited, late], 1, NOW) == NOW + 10 * MINUTE


def test_an_email_larger_than_the_limit_never_goes() -> None:
    assert expected_at([config(hourly_limit=5, own=6)], 0, NOW) is None
    assert frees_at({}, 5, HOUR_SPAN, 6, NOW) is None


def test_without_a_config_there_is_no_time() -> None:
    assert expected_at([], 0, NOW) is None


def test_more_than_a_year_ahead_is_no_time() -> None:
    assert expected_at([config(daily_limit=10)], 10_000, NOW) is None
    assert expected_at([config(free_at=NOW + HORIZON + 1)], 0, NOW) is None


def test_a_million_ahead_are_forecast_in_a_moment_and_exactly_where_the_pattern_repeats() -> None:
    spread = {M - n: 100 for n in range(1, 61)}  # 100 free each minute, but none in each 61st
    slow = replace(config(hourly_limit=6_000), used=spread)
    daily = replace(config(daily_limit=100_000, hourly_limit=9_000), used=spread)
    begun = time.perf_counter()
    assert expected_at([slow], 1_000_000, NOW) is not None
    found = expected_at([slow, daily, config(pace=60_000)], 1_000_000, NOW)
    assert time.perf_counter() - begun < 1
    assert found is not None
    assert 4 * DAY < found - NOW < 5 * DAY
    burst = expected_at([config(hourly_limit=50)], 50 * 1_000, NOW)
    assert burst == (M + 1_000 * HOUR_SPAN) * MINUTE
