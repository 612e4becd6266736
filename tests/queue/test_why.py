from __future__ import annotations

from typing import Any

import pytest

from models import Route, Slot
from models.database import write
from services import outlook, switches
from services.errors import NotFoundError
from services.relay import Relay
from services.why import why
from tests.queue.making import (
    NOW,
    M,
    attempt,
    change,
    change_config,
    change_health,
    claimed,
    ended,
    tenant,
    use,
)  # fmt: skip
from tests.support.relay import add_config, submit
from utils.clock import DAY, HOUR, MINUTE, iso


def ask(relay: Relay, email_id: int) -> dict[str, Any]:
    return why(relay, None, email_id, NOW)


def told(relay: Relay, email_id: int, *names: str) -> tuple[Any, ...]:
    answer = ask(relay, email_id)
    return tuple(answer[name] for name in names)


def test_the_first_in_line_is_next(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW)
    assert told(relay, one, "reason", "position", "expected_at") == ("position", 0, iso(NOW))


def test_a_schedule_holds_until_its_time(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW, send_at=NOW + DAY)
    assert told(relay, one, "reason", "until", "expected_at") == ("schedule", iso(NOW + DAY), iso(NOW + DAY))


def test_a_retry_tells_its_time_and_the_last_error(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW)
    change(one, state="retry", available_at=NOW + HOUR, error_message="451 greylisted")
    answer = ask(relay, one)
    assert (answer["reason"], answer["until"]) == ("retry", iso(NOW + HOUR))
    assert "451 greylisted" in answer["message"]


def test_a_spent_hour_is_named_with_when_it_frees(relay: Relay) -> None:
    config = add_config(name="main", hourly_limit=50)
    use(config, M - 10, 30)
    use(config, M, 20)
    one = submit(relay, NOW)
    frees = (M - 10 + 61) * MINUTE
    assert told(relay, one, "reason", "config") == ("quota_hour", "main")
    assert told(relay, one, "until", "expected_at") == (iso(frees), iso(frees))


def test_behind_a_full_window_the_expected_time_counts_those_ahead(relay: Relay) -> None:
    config = add_config(hourly_limit=2)
    use(config, M, 2)
    emails = [submit(relay, NOW) for _ in range(5)]
    hour = [(M + 61 * n) * MINUTE for n in range(4)]
    pace = 100  # while no attempt has told another
    assert [told(relay, one, "position", "expected_at") for one in emails] == [
        (0, iso(hour[1])), (1, iso(hour[1] + pace)), (2, iso(hour[2])), (3, iso(hour[2] + pace)), (4, iso(hour[3])),
    ]  # fmt: skip
    assert {told(relay, one, "reason", "until") for one in emails} == {("quota_hour", iso(hour[1]))}


def test_the_window_that_frees_last_is_named(relay: Relay) -> None:
    config = add_config(hourly_limit=5, daily_limit=5)
    use(config, M, 5)
    one = submit(relay, NOW)
    assert told(relay, one, "reason", "until") == ("quota_day", iso((M + 1_441) * MINUTE))


def test_recipients_count_where_the_limit_says_so(relay: Relay) -> None:
    config = add_config(hourly_limit=10, limit_unit="recipients")
    use(config, M, 1, 6)
    three = [submit(relay, NOW, to=[f"{n}@example.com" for n in range(3)]) for _ in range(2)]
    five = submit(relay, NOW, to=[f"{n}@example.com" for n in range(5)])
    assert told(relay, three[0], "reason", "expected_at") == ("position", iso(NOW))
    assert told(relay, three[1], "reason", "expected_at") == ("position", iso((M + 61) * MINUTE))
    assert told(relay, five, "reason", "until") == ("quota_hour", iso((M + 61) * MINUTE))
    # 3 now; at the next window 3 and 5
    assert told(relay, five, "expected_at") == (iso((M + 61) * MINUTE + 100),)


def test_more_recipients_than_the_limit_never_go(relay: Relay) -> None:
    config = add_config()
    one = submit(relay, NOW, to=["a@example.com", "b@example.com"])
    change_config(config, hourly_limit=1, limit_unit="recipients")
    assert told(relay, one, "reason", "until", "expected_at") == ("quota_hour", None, None)


def test_what_holds_a_config_is_named(relay: Relay) -> None:
    config = add_config(name="main")
    one = submit(relay, NOW)
    later = NOW + HOUR
    for changes, reason, until in (
        ({"open_until": later, "open_reason": "refused"}, "breaker", later),
        ({"open_until": NOW, "probe_instance": 3}, "breaker", None),
        ({"open_until": None, "pause_until": later, "pause_reason": "slow down"}, "provider_pause", later),
        ({"paused": True}, "config_paused", None),
    ):
        change_health(config, **changes)
        answer = ask(relay, one)
        assert (answer["reason"], answer["config"]) == (reason, "main")
        assert answer["until"] == (iso(until) if until else None)
        if until:
            assert answer["expected_at"] == answer["until"]
    assert ask(relay, one)["expected_at"] is None, "only a person lifts it"
    change_config(config, active=False)
    assert told(relay, one, "reason", "expected_at") == ("config_inactive", None)


def test_without_a_config_it_says_so(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW)
    write(lambda: Route.delete().execute())
    assert told(relay, one, "reason", "expected_at") == ("no_config", None)


def test_a_paused_relay_holds_what_is_queued(relay: Relay) -> None:
    add_config()
    one = submit(relay, NOW)
    switches.pause_relay(NOW)
    later = submit(relay, NOW, send_at=NOW + DAY)
    assert told(relay, one, "reason", "expected_at") == ("relay_paused", None)
    assert told(relay, later, "reason", "expected_at") == ("schedule", None)
    switches.resume_relay(NOW)
    assert ask(relay, one)["reason"] == "position"


def test_busy_connections_are_named_for_the_next_in_line(relay: Relay) -> None:
    config = add_config(max_connections=1)
    one, two = submit(relay, NOW), submit(relay, NOW)
    write(lambda: Slot.create(smtp_config_id=config, instance_id=1, connections=1))
    assert ask(relay, one)["reason"] == "connections"
    assert told(relay, two, "reason", "position") == ("position", 1)


@pytest.mark.parametrize("state", ["sent", "failed", "cancelled", "unknown"])
def test_mail_that_is_over_says_how_it_ended(relay: Relay, state: str) -> None:
    config = add_config(name="main")
    one = ended(relay, state)
    change(one, carrier_id=config, error_message="550 no")
    answer = ask(relay, one)
    assert (answer["reason"], answer["status"], answer["expected_at"]) == (state, state, None)


def test_mail_on_its_way_names_its_config(relay: Relay) -> None:
    config = add_config(name="main")
    assert told(relay, claimed(relay, config), "reason", "config") == ("sending", "main")


def test_a_config_that_frees_first_decides_for_unpinned_mail(relay: Relay) -> None:
    slow, soon = add_config(name="slow"), add_config(name="soon")
    one = submit(relay, NOW)
    change_health(slow, open_until=NOW + HOUR)
    change_health(soon, open_until=NOW + MINUTE)
    assert told(relay, one, "reason", "config", "until") == ("breaker", "soon", iso(NOW + MINUTE))
    change_health(soon, paused=True)
    assert told(relay, one, "reason", "config", "expected_at") == ("breaker", "slow", iso(NOW + HOUR))


def test_mail_pinned_to_an_exhausted_config_does_not_stand_in_the_way(relay: Relay) -> None:
    spent, free = add_config(hourly_limit=1), add_config()
    use(spent, M, 1)
    for _ in range(5):
        submit(relay, NOW - HOUR, smtp_config_id=spent)
    ahead, one = submit(relay, NOW - 1), submit(relay, NOW)
    assert told(relay, one, "reason", "position", "expected_at") == ("position", 1, iso(NOW + 100))
    assert told(relay, ahead, "position") == (0,)
    assert told(relay, submit(relay, NOW, smtp_config_id=spent), "reason", "position") == ("quota_hour", 7)
    assert told(relay, submit(relay, NOW, smtp_config_id=free), "position") == (2,)


def test_the_order_is_that_of_priority_and_time(relay: Relay) -> None:
    add_config()
    newsletter = [submit(relay, NOW - HOUR, priority=5) for _ in range(3)]
    reset = submit(relay, NOW, priority=1)
    assert told(relay, reset, "position") == (0,)
    assert told(relay, newsletter[0], "position") == (1,)
    assert told(relay, newsletter[2], "position") == (3,)


def test_the_pace_is_that_of_the_latest_attempts(relay: Relay) -> None:
    config = add_config()
    for n in range(20):
        attempt(submit(relay, NOW - HOUR), config, NOW - MINUTE + n * 40)
    one = submit(relay, NOW)
    position, expected = told(relay, one, "position", "expected_at")
    assert position == 20
    assert expected == iso(NOW + position * 20), "one takes 20 ms, though they came each 40 ms"


def test_another_tenants_email_is_not_found(relay: Relay) -> None:
    add_config(shared=True)
    one = submit(relay, NOW, tenant("ours"))
    assert why(relay, "ours", one, NOW)["reason"] == "position"
    with pytest.raises(NotFoundError):
        why(relay, "theirs", one, NOW)


def test_more_than_it_counts_is_said_and_not_guessed(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlook, "COUNTED", 3)
    monkeypatch.setattr(outlook, "COUNTED_AT_LEAST", 1)
    add_config()
    emails = [submit(relay, NOW) for _ in range(5)]
    assert told(relay, emails[3], "position", "expected_at") == (3, iso(NOW + 300))
    answer = ask(relay, emails[4])
    assert (answer["reason"], answer["position"], answer["expected_at"]) == ("position", 3, None)
    assert answer["until"] == iso(NOW + 300), "the earliest"
    assert answer["message"].startswith("More than 3 emails")
