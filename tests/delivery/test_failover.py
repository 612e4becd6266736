from __future__ import annotations

import pytest

from models.database import rows, run, write
from services import health as health_service
from services.relay import Relay
from tests.support.relay import (
    add_config,
    attempts,
    delivering,
    email,
    health,
    state,
    states,
    submit,
    wait_for,
)
from tests.support.sink import Sink
from utils.clock import now_ms


@pytest.fixture(autouse=True)
def _short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_service, "FIRST_STEP", 300)


def tried(config: int, *, probe: bool = False, opened_at: int | None = 0) -> health_service.Tried:
    return health_service.Tried(config, 5, 1, probe, opened_at)


def test_mail_goes_through_the_other_config_and_the_breaker_opens_half_opens_and_closes(relay: Relay) -> None:
    refusing = True
    with Sink() as good, Sink() as bad:
        bad.hooks.on_connect = lambda: "421 4.3.2 not now" if refusing else None
        ill = add_config(bad.port, weight=1000)
        add_config(good.port)
        with delivering(relay, workers=4):
            first = [submit(relay) for _ in range(20)]
            wait_for(lambda: states().get("sent") == 20)
            assert good.accepted == 20
            assert bad.accepted == 0
            row = wait_for(lambda: health(ill).failures and health(ill))
            assert row.open_until is not None and "421" in row.open_reason
            assert all(email(one)["retry_count"] == 0 for one in first)

            refusing = False
            wait_for(lambda: submit(relay) and health(ill).open_until is None and bad.accepted, 20)
            assert health(ill).failures == 0
            wait_for(lambda: states() == {"sent": len(rows("SELECT 1 FROM emails"))})
    assert good.accepted + bad.accepted == states()["sent"], "nothing twice"


def test_a_breaker_waits_longer_after_each_failed_probe(relay: Relay) -> None:
    with Sink() as bad:
        bad.hooks.on_connect = lambda: "554 go away"
        config = add_config(bad.port)
        with delivering(relay, workers=3):
            one = submit(relay)
            wait_for(lambda: health(config).failures >= 3)
        row = health(config)
    assert bad.connections == row.failures, "one probe at a time"
    assert row.open_until - row.last_error_at >= 300 * 2 ** (row.failures - 1)
    assert state(one) == "queued" and email(one)["retry_count"] == 0


def test_failures_of_connections_that_failed_together_count_once(relay: Relay) -> None:
    config = add_config(9)
    now = now_ms()

    def job() -> None:
        for _ in range(5):
            health_service.failed(tried(config), "refused", now, opening=True)

    write(job)
    assert health(config).failures == 1


def test_pinned_mail_never_fails_over(relay: Relay, sink: Sink) -> None:
    dead = add_config(1)
    add_config(sink.port)
    with delivering(relay):
        pinned, free = submit(relay, smtp_config_id=dead), submit(relay)
        wait_for(lambda: state(free) == "sent")
        wait_for(lambda: attempts(pinned))
        wait_for(lambda: state(pinned) == "queued")
    assert sink.accepted == 1


def test_a_dead_config_does_not_keep_workers_from_the_living_one(relay: Relay, sink: Sink) -> None:
    with Sink() as silent:
        silent.hooks.on_connect = lambda: "<silence>"
        stuck = add_config(silent.port, max_connections=50)
        for _ in range(10):
            submit(relay, smtp_config_id=stuck)
        add_config(sink.port, weight=1)
        with delivering(relay, workers=4) as engine:
            ids = [submit(relay, smtp_config_id=2) for _ in range(20)]
            wait_for(lambda: all(state(one) == "sent" for one in ids), 10)
            assert silent.open_now <= 2, "an account that never answered earns no more connections"
            silent.close()
            engine.pool.sweep(everything=True)


def test_a_config_earns_connections_up_to_its_limit_and_loses_them_by_failures(relay: Relay) -> None:
    with Sink(delay=0.02) as sink:
        config = add_config(sink.port, max_connections=3)
        for _ in range(60):
            submit(relay)
        with delivering(relay, workers=8):
            wait_for(lambda: states().get("sent") == 60)
        assert sink.peak == 3
        assert health(config).window == pytest.approx(3)
    write(lambda: health_service.failed(tried(config), "refused", now_ms(), opening=True))
    assert health(config).window == pytest.approx(2)


def test_weights_share_unpinned_mail(relay: Relay) -> None:
    with Sink() as heavy, Sink() as light:
        add_config(heavy.port, weight=4, max_connections=1)
        add_config(light.port, weight=1, max_connections=1)
        with delivering(relay, workers=1):
            for count in range(1, 101):
                submit(relay)
                wait_for(lambda count=count: heavy.accepted + light.accepted >= count)  # type: ignore[misc]
    assert 8 <= light.accepted <= 35


def test_a_config_of_weight_zero_takes_pinned_mail_only(relay: Relay, sink: Sink) -> None:
    add_config(sink.port)
    with Sink() as quiet:
        only_pinned = add_config(quiet.port, weight=0)
        with delivering(relay):
            free = [submit(relay) for _ in range(10)]
            pinned = submit(relay, smtp_config_id=only_pinned)
            wait_for(lambda: states() == {"sent": len(free) + 1})
        assert quiet.accepted == 1
    assert rows("SELECT count(*) FROM slots WHERE connections > 0") == [(0,)]
    assert state(pinned) == "sent"


def test_a_changed_config_gets_a_new_connection(relay: Relay, sink: Sink) -> None:
    config = add_config(sink.port)
    with Sink() as other, delivering(relay):
        submit(relay)
        sink.wait_for(1)
        write(
            lambda: run(
                "UPDATE smtp_configs SET smtp_port = ?, updated_at = updated_at + 1 WHERE id = ?",
                other.port,
                config,
            )
        )
        submit(relay)
        other.wait_for(1)
    assert sink.accepted == 1
