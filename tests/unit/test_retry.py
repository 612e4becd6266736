from random import Random

from hypothesis import given
from hypothesis import strategies as st

from services.retry import GiveUp, RetryAt, next_attempt

MINUTE, HOUR = 60_000, 3_600_000
NOW = 1_800_000_000_000


def decide(retry_count=0, **changes):
    facts = {
        "max_retries": 25,
        "max_age_hours": 72,
        "created_at": NOW,
        "expires_at": None,
        "retry_after": None,
        "rng": Random(1),
    }
    return next_attempt(retry_count, NOW, **{**facts, **changes})


def delays(retry_count, **changes):
    return [decide(retry_count, rng=Random(seed), **changes).at - NOW for seed in range(200)]


def test_it_starts_with_a_minute():
    assert 48_000 <= min(delays(0)) < 55_000
    assert 65_000 < max(delays(0)) <= 72_000


def test_it_doubles():
    for count in range(7):
        mean = sum(delays(count)) / 200
        assert abs(mean / (MINUTE << count) - 1) < 0.05


def test_it_stops_doubling_at_four_hours_and_still_spreads():
    for count in (8, 9, 24):
        assert min(delays(count)) < 3.5 * HOUR
        assert 4.4 * HOUR < max(delays(count)) <= 4.8 * HOUR


def test_it_waits_as_long_as_the_server_asked():
    assert decide(0, retry_after=1800).at == NOW + 30 * MINUTE


def test_it_never_comes_sooner_for_a_short_wish():
    assert decide(5, retry_after=1).at - NOW > 20 * MINUTE


def test_it_heeds_a_wish_of_weeks_for_a_day_only():
    assert decide(0, retry_after=10**7).at == NOW + 24 * HOUR


def test_it_gives_up_when_the_retries_are_spent():
    assert isinstance(decide(24), RetryAt)
    end = decide(25)
    assert isinstance(end, GiveUp) and end.limit == "retries" and "25" in end.reason


def test_it_gives_up_when_the_next_try_would_be_past_the_age():
    created = NOW - 72 * HOUR + 30_000
    end = decide(0, created_at=created)
    assert isinstance(end, GiveUp) and end.limit == "age" and "72 hours" in end.reason
    assert isinstance(decide(0, created_at=created + 60_000), RetryAt)


def test_it_gives_up_when_the_next_try_would_be_past_the_expiry():
    end = decide(0, expires_at=NOW + 30_000)
    assert isinstance(end, GiveUp) and end.limit == "expiry" and "expiry" in end.reason
    assert isinstance(decide(0, expires_at=NOW + 2 * MINUTE), RetryAt)


def test_it_gives_up_for_a_named_delay_past_the_expiry():
    assert decide(0, expires_at=NOW + HOUR, retry_after=2 * 3600).limit == "expiry"


def test_it_names_the_limit_that_ends_first():
    old = NOW - 72 * HOUR
    assert decide(0, created_at=old, expires_at=old + 80 * HOUR).limit == "age"
    assert decide(0, created_at=old, expires_at=old + 70 * HOUR).limit == "expiry"
    assert decide(0, created_at=old + HOUR, expires_at=old + 80 * HOUR, retry_after=2 * 3600).limit == "age"


def test_the_last_moment_before_a_limit_still_counts():
    wish = {"retry_after": 3600}  # no jitter in a named delay
    assert decide(0, expires_at=NOW + HOUR, **wish) == RetryAt(NOW + HOUR)
    assert decide(0, expires_at=NOW + HOUR - 1, **wish).limit == "expiry"
    assert decide(0, created_at=NOW - 71 * HOUR, **wish) == RetryAt(NOW + HOUR)
    assert decide(0, created_at=NOW - 71 * HOUR - 1, **wish).limit == "age"


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.none() | st.integers(0, 10**9), st.integers(0, 10**9))
def test_it_is_never_in_the_past_and_never_past_a_limit(count, retries, after, life):
    answer = decide(count, max_retries=retries, retry_after=after, expires_at=NOW + life)
    if isinstance(answer, RetryAt):
        assert NOW + 48_000 <= answer.at <= NOW + min(life, 72 * HOUR)
        assert count < retries
