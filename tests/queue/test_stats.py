from __future__ import annotations

from typing import Any

from models.database import row, rows, run, write
from models.smtp_config import Slot
from services import stats, switches
from services.relay import Relay
from services.stats import queue_stats
from tests.queue.making import NOW, M, change, change_health, ended, tenant, use
from tests.support.relay import add_config, submit
from utils.clock import DAY, HOUR, MINUTE, SECOND, iso


def seen(relay: Relay, whose: str | None = None, now: int = NOW) -> dict[str, Any]:
    return queue_stats(relay, whose, now)


def test_an_empty_queue_has_all_its_counts(relay: Relay) -> None:
    found = seen(relay)
    assert set(found["counts"].values()) == {0}
    assert set(found["counts"]) == {
        "scheduled", "queued", "sending", "sent", "retry", "failed", "cancelled", "unknown",
    }  # fmt: skip
    assert (found["oldest_waiting_seconds"], found["configs"], found["ages"]["rows"]) == (None, [], [])
    assert found["paused"] is False


def test_it_counts_by_state_and_priority(relay: Relay) -> None:
    add_config()
    for priority in (1, 3, 3):
        submit(relay, NOW, priority=priority)
    submit(relay, NOW, send_at=NOW + HOUR, priority=5)
    change(submit(relay, NOW), state="retry")
    ended(relay, "sent")
    found = seen(relay)
    assert (found["counts"]["queued"], found["counts"]["sent"], found["counts"]["scheduled"]) == (3, 1, 1)
    assert found["waiting"]["queued"] == {"1": 1, "2": 0, "3": 2, "4": 0, "5": 0}
    assert found["waiting"]["scheduled"]["5"] == 1
    assert found["waiting"]["retry"]["3"] == 1


def test_the_oldest_is_the_one_that_could_have_gone_the_longest(relay: Relay) -> None:
    add_config()
    submit(relay, NOW - 3 * DAY, send_at=NOW + DAY)
    submit(relay, NOW - 90 * SECOND)
    submit(relay, NOW - 60 * SECOND)
    assert seen(relay)["oldest_waiting_seconds"] == 90


def test_a_retry_waits_by_design(relay: Relay) -> None:
    add_config()
    change(submit(relay, NOW - HOUR), state="retry", available_at=NOW - MINUTE)
    assert seen(relay)["oldest_waiting_seconds"] is None


def test_the_table_shows_where_mail_piles_up(relay: Relay) -> None:
    config = add_config(name="main")
    for age in (30 * SECOND, 3 * MINUTE, 3 * MINUTE, 2 * HOUR, 2 * DAY):
        submit(relay, NOW - age, smtp_config_id=config)
    submit(relay, NOW - MINUTE)
    retried = submit(relay, NOW - 10 * MINUTE)
    change(retried, state="retry")
    submit(relay, NOW - HOUR, send_at=NOW + HOUR)  # waits because it was asked to
    # ids must follow the time of acceptance, as they do outside of tests
    _renumber()
    ages = seen(relay)["ages"]
    assert ages["columns"] == ["1m", "5m", "15m", "1h", "4h", "1d", "older"]
    assert ages["rows"] == [
        {"smtp_config_id": None, "smtp_config": None, "total": 2, "counts": [1, 0, 1, 0, 0, 0, 0]},
        {"smtp_config_id": config, "smtp_config": "main", "total": 5, "counts": [1, 2, 0, 0, 1, 0, 1]},
    ]


def _renumber() -> None:
    def job() -> None:
        for place, (one,) in enumerate(rows("SELECT id FROM emails ORDER BY created_at")):
            run("UPDATE emails SET id = ? WHERE id = ?", 1_000 + place, one)

    write(job)


def test_rates_are_per_minute(relay: Relay) -> None:
    add_config()
    for ago in (30 * MINUTE, 30 * MINUTE, 3 * MINUTE, 20 * SECOND):
        ended(relay, "sent", NOW - ago)
    ended(relay, "failed", NOW - 10 * SECOND)
    change(ended(relay, "sent", NOW - 5 * SECOND), has_content=False)
    rates = seen(relay)["rates_per_minute"]
    assert rates["accepted"] == {"1m": 3, "5m": 0.8, "60m": 0.1}
    assert rates["sent"] == {"1m": 2, "5m": 0.6, "60m": 0.08}
    assert rates["failed"] == {"1m": 1, "5m": 0.2, "60m": 0.02}


def test_of_more_than_it_looks_at_the_rate_is_over_the_time_those_took(
    relay: Relay, monkeypatch: Any
) -> None:
    monkeypatch.setattr(stats, "FINISHED_SEEN", 4)
    add_config()
    for n in range(8, 0, -1):
        ended(relay, "sent", NOW - n * 10 * SECOND)
    assert seen(relay)["rates_per_minute"]["sent"] == {"1m": 4.5, "5m": 4.5, "60m": 4.5}


def test_use_of_both_windows_is_told(relay: Relay) -> None:
    config = add_config(name="main", hourly_limit=50, daily_limit=500)
    use(config, M - 90, 7)
    use(config, M, 50)
    write(lambda: Slot.create(smtp_config_id=config, instance_id=1, connections=3))
    found = seen(relay)["configs"]
    assert found == [
        {
            "id": config, "name": "main", "tenant_id": None, "active": True, "unit": "messages",
            "hour": {"used": 50, "limit": 50}, "day": {"used": 57, "limit": 500}, "hold": "quota_hour",
            "held_until": iso((M + 61) * MINUTE), "breaker_open": False, "connections": 3,
        }
    ]  # fmt: skip
    change_health(config, open_until=NOW + HOUR)
    assert seen(relay, now=NOW + 1)["configs"][0]["breaker_open"] is True


def test_a_tenant_sees_its_own_only(relay: Relay) -> None:
    shared, own = add_config(shared=True), add_config(tenant="ours")
    submit(relay, NOW - HOUR, tenant("theirs"))
    ended(relay, "sent", NOW, who=tenant("theirs"))
    submit(relay, NOW, tenant("ours"))
    ours = seen(relay, "ours")
    assert (ours["counts"]["queued"], ours["counts"]["sent"], ours["oldest_waiting_seconds"]) == (1, 0, 0)
    assert sum(ours["waiting"]["queued"].values()) == 1
    assert [one["id"] for one in ours["configs"]] == [own]
    assert [row["total"] for row in ours["ages"]["rows"]] == [1]
    assert ours["rates_per_minute"]["accepted"]["60m"] == round(1 / 60, 2)
    assert ours["rates_per_minute"]["sent"]["60m"] == 0
    everything = seen(relay)
    assert everything["counts"]["queued"] == 2
    assert [one["id"] for one in everything["configs"]] == [shared, own]


def test_cheap_answers_are_fresh_and_costly_ones_are_kept(relay: Relay, monkeypatch: Any) -> None:
    add_config()
    monkeypatch.setattr(stats, "WORTH_KEEPING", DAY)  # cheap, however slow the machine is
    assert seen(relay)["counts"]["queued"] == 0
    submit(relay, NOW)
    assert seen(relay)["counts"]["queued"] == 1
    monkeypatch.setattr(stats, "WORTH_KEEPING", 0)
    monkeypatch.setattr(stats, "KEPT_FOR", 1_000_000)
    seen(relay)
    submit(relay, NOW)
    assert seen(relay, now=NOW + 1)["counts"]["queued"] == 1
    assert seen(relay, now=NOW + DAY)["counts"]["queued"] == 2


def test_the_pause_of_the_relay_is_kept_and_lifted(relay: Relay) -> None:
    assert not switches.relay_paused()
    switches.pause_relay(NOW)
    switches.pause_relay(NOW + 1)
    assert row("SELECT changed_at FROM switches WHERE name = 'paused'") == (NOW,), "since when it is paused"
    assert switches.relay_paused()
    assert seen(relay)["paused"] is True
    switches.resume_relay(NOW + 2)
    assert not switches.relay_paused()
