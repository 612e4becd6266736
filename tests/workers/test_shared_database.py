"""A database that other machines share, and that may be away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.database import row, run, write
from services import claim, readiness
from services.relay import Relay
from tests.support import database as databases
from tests.support.app import EMAIL, MASTER_KEY, caller, running_app
from tests.support.cut import Wire
from tests.support.postgres import PASSWORD
from tests.support.relay import add_config, attempts, delivering, events, relay_in, state, submit, wait_for
from tests.support.sink import Sink
from utils.clock import MINUTE, now_ms
from workers.instance import Membership

pytestmark = databases.postgresql_only


def in_hand_of(relay: Relay, member: Membership) -> int:
    config = add_config(max_connections=2)
    one = submit(relay)
    assert claim.claim(config, member.id, now_ms(), 1, connected=False)
    return one


def elsewhere(member: Membership, **facts: str) -> None:
    for name, value in facts.items():
        write(
            lambda name=name, value=value: run(
                f"UPDATE instances SET {name} = ? WHERE id = ?", value, member.id
            )
        )  # type: ignore[misc]


@pytest.mark.parametrize("where", [{"boot_id": "another machine"}, {"folder_id": "another folder"}])
def test_an_instance_whose_lock_cannot_be_seen_is_judged_by_its_beat_alone(
    relay: Relay, where: dict[str, str]
) -> None:
    here, there = Membership(relay.policy, 0.6), Membership(relay.policy, 0.6)
    elsewhere(there, **where)
    one = in_hand_of(relay, there)
    there._lock.path.unlink()  # seen here, that would be a death
    for _ in range(4):
        assert here.beat() and there.beat()
        assert here.bury_the_dead() == 0
        time.sleep(0.25)
    assert state(one) == "sending"
    for _ in range(4):
        here.beat()
        here.bury_the_dead()
        time.sleep(0.25)
    assert state(one) == "queued", "it beats no more"
    assert events(one) == ["returned"], "and its dot was not out, whatever machine it is on"


def test_its_connections_count_until_no_server_can_still_hold_them(relay: Relay) -> None:
    here, there = Membership(relay.policy, 0.3), Membership(relay.policy, 0.3)
    elsewhere(there, boot_id="another machine")
    in_hand_of(relay, there)
    here.bury_the_dead()

    def given_up() -> bool:
        """On a busy machine we are late ourselves now and then, and judge nobody then."""
        here.beat()
        here.bury_the_dead()
        return row("SELECT 1 FROM instances WHERE id = ? AND ended_at IS NOT NULL", there.id) is not None

    wait_for(given_up, 10)
    assert not there.beat(), "it was given up"
    assert readiness.connections_open(1) == 1
    write(lambda: run("UPDATE instances SET ended_at = ended_at - ?", 6 * MINUTE))
    here.bury_the_dead()
    assert readiness.connections_open(1) == 0
    assert row("SELECT 1 FROM instances WHERE id = ?", there.id) is None


def test_one_that_was_given_up_claims_nothing_and_leads_nothing(relay: Relay) -> None:
    there = Membership(relay.policy, 60)
    write(lambda: run("UPDATE instances SET ended_at = 1"))
    config = add_config()
    submit(relay)
    assert claim.claim(config, there.id, now_ms(), 1, connected=True) is None
    there.leave()
    assert row("SELECT count(*) FROM instances") == (0,)


@pytest.fixture
def wired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Whatever binds the database of this test reaches it over a wire."""
    wire, through = Wire.to(str(databases.location(tmp_path)))
    monkeypatch.setattr(databases, "location", lambda *_, **__: through)
    with wire:
        yield wire


def test_mail_goes_on_when_the_database_is_back_and_none_is_sent_twice(tmp_path: Path, wired: Wire) -> None:
    with Sink() as sink, relay_in(tmp_path) as relay:
        add_config(sink.port)
        sink.hooks.on_data = lambda message: wired.cut() if not wired.is_cut else None
        with delivering(relay, lease_seconds=30) as engine:
            one = submit(relay)
            sink.wait_for(1)
            time.sleep(2.5)
            assert engine.alive()
            sink.hooks.on_data = lambda message: None
            wired.mend()
            wait_for(lambda: state(one) == "sent")
            two = submit(relay)
            wait_for(lambda: state(two) == "sent")
    assert sink.accepted == 2


def test_a_process_that_is_cut_off_shuts_its_connections_before_others_take_their_place(
    tmp_path: Path, wired: Wire
) -> None:
    with Sink() as sink, relay_in(tmp_path) as relay:
        add_config(sink.port)
        with delivering(relay, lease_seconds=2):
            one = submit(relay)
            wait_for(lambda: state(one) == "sent")
            assert sink.open_now == 1
            wired.cut()
            wait_for(lambda: sink.open_now == 0, 6)
            wired.mend()
            wait_for(lambda: len(attempts(one)) == 1)


def test_who_asks_meanwhile_is_told_and_may_come_back(tmp_path: Path, wired: Wire) -> None:
    with running_app(tmp_path) as app:
        service = caller(app, MASTER_KEY)
        app.extensions["mailferry"].alive = lambda: True
        assert service.get("/ready").status_code == 200
        wired.cut()
        for answer in (
            service.post("/api/emails", EMAIL),
            service.get("/api/emails/1"),
            service.get("/api/queue"),
        ):
            assert (answer.status_code, answer.json["code"]) == (503, "DATABASE_UNAVAILABLE")
            assert "PostgreSQL" in answer.json["message"] and PASSWORD not in answer.get_data(as_text=True)
            assert answer.headers["Retry-After"]
        time.sleep(1.1)  # the last probe's answer counts for a second
        ready = service.get("/ready")
        assert ready.status_code == 503
        assert ready.json["checks"]["database"] == {"ok": False, "detail": "cannot be reached"}
        wired.mend()
        assert service.post("/api/emails", EMAIL).status_code == 201
        assert service.get("/ready").status_code == 200
