"""Claims, at chosen moments: order, lanes, limits. The time is passed in, so no clock has to move."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from models.database import database, row, rows, run, write
from models.service import Instance
from services import claim as claims
from services import quota, record, recover
from services.errors import InvalidInputError
from services.relay import Relay
from tests.support.relay import SERVICE, add_config, email, events, recipient_states, state, submit
from utils.clock import HOUR, MINUTE

NOON = 1_800_000_000_000 // HOUR * HOUR
INSTANCE = 7


@pytest.fixture(autouse=True)
def _instances(relay: Relay) -> None:
    for number in (1, 2, 3, INSTANCE):
        Instance.create(id=number, boot_id="b", lock_name="none", host="h", pid=1, started_at=0)


def take(config: int, now: int, want: int = 1000) -> list[int]:
    claim = claims.claim(config, INSTANCE, now, want, connected=True)
    return [one.id for one in claim.emails] if claim else []


def test_urgent_mail_goes_first_and_equals_in_order_of_arrival(relay: Relay) -> None:
    config = add_config()
    late = submit(relay, NOON, priority=5)
    normal = [submit(relay, NOON + n) for n in range(3)]
    urgent = submit(relay, NOON + 10, priority=1)
    assert take(config, NOON + 20) == [urgent, *normal, late]


def test_a_low_priority_is_overtaken_only_by_mail_of_the_day_after_it(relay: Relay) -> None:
    config = add_config()
    newsletter = submit(relay, NOON, priority=5)
    within = submit(relay, NOON + 24 * HOUR - MINUTE, priority=1)
    beyond = submit(relay, NOON + 24 * HOUR + MINUTE, priority=1)
    assert take(config, NOON + 25 * HOUR) == [within, newsletter, beyond]


def test_a_fresh_urgent_email_takes_the_next_slot_of_a_spent_quota(relay: Relay) -> None:
    config = add_config(hourly_limit=10)
    for n in range(1_000):
        submit(relay, NOON - 2 * HOUR + n, priority=5)
    assert len(take(config, NOON)) == 10
    urgent = submit(relay, NOON + MINUTE, priority=1)
    assert take(config, NOON + 2 * MINUTE) == []
    assert take(config, NOON + 61 * MINUTE)[0] == urgent


def test_an_email_of_low_priority_goes_within_its_bound_under_an_endless_stream(relay: Relay) -> None:
    config = add_config()
    newsletter = submit(relay, NOON, priority=5)
    before: list[int] = []
    for hour in range(60):  # more comes than goes, always more urgent
        now = NOON + hour * HOUR
        for n in range(3):
            submit(relay, now + n, priority=1)
        before += take(config, now + MINUTE, want=2)
        if newsletter in before:
            break
    assert newsletter in before, "it starved"
    assert all(email(one)["available_at"] <= NOON + 24 * HOUR for one in before)
    assert len(before) > 70, "and the day's urgent mail did go first"


def test_the_hourly_limit_is_exact_across_an_hour_boundary(relay: Relay) -> None:
    config = add_config(hourly_limit=50)
    for _ in range(120):
        submit(relay, NOON - HOUR)
    start = NOON + 59_000
    assert len(take(config, start)) == 50
    for minute in range(1, 61):
        assert take(config, NOON + minute * MINUTE) == [], f"minute {minute}"
    assert take(config, NOON + 61 * MINUTE - 1) == []
    assert len(take(config, NOON + 61 * MINUTE)) == 50


def test_the_daily_limit_is_kept_beside_the_hourly_one(relay: Relay) -> None:
    config = add_config(hourly_limit=50, daily_limit=80)
    for _ in range(200):
        submit(relay, NOON - HOUR)
    assert len(take(config, NOON)) == 50
    assert len(take(config, NOON + 61 * MINUTE)) == 30
    assert take(config, NOON + 122 * MINUTE) == []
    assert len(take(config, NOON + 1_441 * MINUTE)) == 50
    windows = quota.windows(config, NOON + 1_441 * MINUTE)
    assert (windows.hour_used, windows.day_used, windows.spent) == (50, 80, "quota_day")
    assert windows.next_free_at == NOON + (61 + 1_441) * MINUTE


def test_limits_may_count_recipients(relay: Relay) -> None:
    config = add_config(hourly_limit=10, limit_unit="recipients")
    for _ in range(3):
        submit(relay, NOON, to=[f"r{n}@example.com" for n in range(4)])
    small = submit(relay, NOON + 1)
    assert len(take(config, NOON + 1)) == 2
    assert take(config, NOON + 2) == [], "a small email does not overtake a large one of its own turn"
    assert small not in take(config, NOON + 60 * MINUTE)
    assert quota.windows(config, NOON + 2).hour_used == 8


def test_an_email_larger_than_every_limit_is_refused(relay: Relay) -> None:
    add_config(hourly_limit=3, limit_unit="recipients")
    with pytest.raises(InvalidInputError) as caught:
        submit(relay, NOON, to=[f"r{n}@example.com" for n in range(4)])
    assert caught.value.code == "OVER_LIMIT"
    assert rows("SELECT count(*) FROM emails") == [(0,)]


def test_an_email_too_large_for_one_config_waits_for_another_without_blocking(relay: Relay) -> None:
    small = add_config(hourly_limit=3, limit_unit="recipients")
    large = add_config(10)
    big = submit(relay, NOON, to=[f"r{n}@example.com" for n in range(4)])
    other = submit(relay, NOON + 1)
    assert take(small, NOON + 2) == [other]
    assert take(large, NOON + 2) == [big]


def test_use_dated_in_the_future_counts_after_the_clock_went_back(relay: Relay) -> None:
    config = add_config(hourly_limit=5)
    for _ in range(10):
        submit(relay, NOON)
    assert len(take(config, NOON + 2 * HOUR)) == 5
    assert take(config, NOON + HOUR) == []


def test_what_was_not_sent_is_given_back(relay: Relay) -> None:
    config = add_config(hourly_limit=5)
    ids = [submit(relay, NOON) for _ in range(5)]
    claim = claims.claim(config, INSTANCE, NOON, 10, connected=True)
    assert claim is not None
    record.give_back(ids[2:], claim.lease, NOON + 1)
    assert quota.windows(config, NOON + 1).hour_used == 2
    assert [state(one) for one in ids] == ["sending"] * 2 + ["queued"] * 3
    assert take(config, NOON + 2) == ids[2:]


def test_two_claims_never_share_an_email_nor_overspend(relay: Relay) -> None:
    config = add_config(hourly_limit=40)
    for _ in range(100):
        submit(relay, NOON)
    taken: list[int] = []

    def worker() -> None:
        while found := take(config, NOON + 1, want=3):
            taken.extend(found)
        database.close()

    threads = [threading.Thread(target=worker) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert len(taken) == len(set(taken)) == 40


def test_tenants_alternate_among_equally_urgent_mail(relay: Relay) -> None:
    config = add_config(shared=True)
    acme, umbrella = (replace(SERVICE, service=False, tenant=name) for name in ("acme", "umbrella"))
    bulk = [submit(relay, NOON + n, who=acme) for n in range(20)]
    other = [submit(relay, NOON + MINUTE + n, who=umbrella) for n in range(3)]
    claimed = take(config, NOON + 2 * MINUTE, want=8)
    assert set(other) <= set(claimed)
    assert [one for one in claimed if one in bulk] == bulk[:5]


def test_mail_of_a_spent_config_does_not_hold_up_other_mail(relay: Relay) -> None:
    spent = add_config(hourly_limit=1)
    free = add_config(10)
    for _ in range(20):
        submit(relay, NOON, smtp_config_id=spent)
    assert len(take(spent, NOON)) == 1
    one = submit(relay, NOON + 1, smtp_config_id=free)
    assert [config.id for config in claims.candidates(NOON + 2)] == [free]
    assert take(free, NOON + 2) == [one]


def test_expired_mail_is_not_claimed(relay: Relay) -> None:
    config = add_config()
    offer = submit(relay, NOON, expires_at=NOON + HOUR)
    assert take(config, NOON + HOUR) == []
    assert take(config, NOON + HOUR - 1) == [offer]


def test_nothing_is_claimed_while_the_relay_is_paused(relay: Relay) -> None:
    config = add_config()
    submit(relay, NOON)
    write(lambda: run("INSERT INTO switches (name, value, changed_at) VALUES ('paused', 'on', 0)"))
    assert take(config, NOON + 1) == []
    assert list(claims.candidates(NOON + 1)) == []


def test_connections_are_counted_across_instances(relay: Relay) -> None:
    config = add_config(max_connections=2)
    for _ in range(10):
        submit(relay, NOON)
    for instance in (1, 2):
        claim = claims.claim(config, instance, NOON, 1, connected=False)
        assert claim is not None and claim.opens_connection
    assert claims.claim(config, 3, NOON, 1, connected=False) is None
    assert claims.claim(config, 1, NOON, 1, connected=True) is not None


def test_a_half_open_breaker_lets_one_email_try(relay: Relay) -> None:
    config = add_config()
    for _ in range(5):
        submit(relay, NOON)
    write(lambda: run("UPDATE health SET failures = 3, open_until = ?", NOON + MINUTE))
    assert claims.claim(config, 1, NOON, 5, connected=False) is None
    probe = claims.claim(config, 1, NOON + MINUTE, 5, connected=False)
    assert probe is not None and len(probe.emails) == 1
    assert claims.claim(config, 2, NOON + MINUTE, 5, connected=False) is None


def claimed_with_dot(relay: Relay, config: int, **fields: object) -> tuple[int, int]:
    one = submit(relay, NOON, **fields)
    claim = claims.claim(config, INSTANCE, NOON, 1, connected=True)
    assert claim is not None
    write(lambda: run("UPDATE emails SET dot_at = ? WHERE id = ?", NOON + 5, one))
    return one, claim.lease


def test_a_dead_process_leaves_before_the_dot_queued_and_after_it_unknown(relay: Relay) -> None:
    config = add_config(hourly_limit=10)
    after, _ = claimed_with_dot(relay, config)
    held, _ = claimed_with_dot(relay, config, on_unknown="hold")
    before = submit(relay, NOON)
    assert take(config, NOON + 6) == [before]
    assert recover.take_back(relay.policy, INSTANCE, NOON + 10, rebooted=False) == (1, 2)
    assert (state(before), state(after), state(held)) == ("queued", "queued", "unknown")
    assert (email(before)["retry_count"], email(after)["retry_count"]) == (0, 1)
    assert events(before) == ["returned"] and events(after) == ["unknown"] and events(held) == ["unknown"]
    assert set(recipient_states(held).values()) == {"unknown"}
    assert quota.windows(config, NOON + 10).hour_used == 2, "unknown counts, returned does not"


def test_after_a_reboot_every_claimed_email_is_unknown(relay: Relay) -> None:
    config = add_config()
    one = submit(relay, NOON, on_unknown="hold")
    assert take(config, NOON) == [one]
    assert recover.take_back(relay.policy, INSTANCE, NOON + 10, rebooted=True) == (0, 1)
    assert state(one) == "unknown"


def leased(relay: Relay, email_id: int, lease: int, config: int) -> record.Leased:
    from models.smtp_config import SmtpConfig

    return record.Leased(
        email_id, lease, SmtpConfig.get_by_id(config), INSTANCE, NOON, 1, ((0, "ann@example.com"),)
    )


def test_a_zombie_is_refused_its_dot(relay: Relay) -> None:
    config = add_config()
    one = submit(relay, NOON)
    claim = claims.claim(config, INSTANCE, NOON, 1, connected=True)
    assert claim is not None
    mine = leased(relay, one, claim.lease, config)
    recover.take_back(relay.policy, INSTANCE, NOON + 1, rebooted=False)
    assert take(config, NOON + 2) == [], "whoever was taken for dead claims nothing"
    again = claims.claim(config, 1, NOON + 2, 5, connected=True)
    assert again is not None and [found.id for found in again.emails] == [one]
    assert record.commit(relay.policy, [], record.Dot(mine), NOON + 3) is False
    assert row("SELECT dot_at FROM emails WHERE id = ?", one) == (None,)


def test_a_reservation_moves_to_the_minute_of_its_dot(relay: Relay) -> None:
    config = add_config(hourly_limit=5)
    one = submit(relay, NOON)
    claim = claims.claim(config, INSTANCE, NOON, 1, connected=True)
    assert claim is not None
    assert record.commit(
        relay.policy, [], record.Dot(leased(relay, one, claim.lease, config)), NOON + 5 * MINUTE
    )
    used = dict(rows("SELECT minute, messages FROM usage WHERE messages != 0"))
    assert used == {(NOON + 5 * MINUTE) // MINUTE: 1}
