from __future__ import annotations

from models.database import rows
from services import promote
from services.relay import Relay
from tests.queue.making import NOW, STEP, change, ended
from tests.support.database import sqlite_only
from tests.support.relay import add_config, email, state, submit
from utils.clock import HOUR


def test_what_is_due_is_queued_in_its_place(relay: Relay) -> None:
    add_config()
    scheduled = submit(relay, NOW, send_at=NOW + HOUR, priority=2)
    retried = submit(relay, NOW)
    change(retried, state="retry", available_at=NOW + HOUR)
    later = submit(relay, NOW, send_at=NOW + HOUR + 1)
    assert promote.promote_due(NOW + HOUR - 1) == 0
    assert promote.promote_due(NOW + HOUR) == 2
    assert [state(one) for one in (scheduled, retried, later)] == ["queued", "queued", "scheduled"]
    assert email(scheduled)["sort_at"] == NOW + HOUR + STEP


def test_it_goes_on_in_steps_the_earliest_first(relay: Relay) -> None:
    add_config()
    emails = [submit(relay, NOW, send_at=NOW + n) for n in (30, 10, 20)]
    assert promote.promote_due(NOW + 100, limit=2) == 2
    assert [state(one) for one in emails] == ["scheduled", "queued", "queued"]
    assert promote.promote_due(NOW + 100, limit=2) == 1
    assert promote.promote_due(NOW + 100, limit=2) == 0


def test_nothing_else_is_touched(relay: Relay) -> None:
    add_config()
    for final in ("sent", "failed", "cancelled", "unknown"):
        ended(relay, final)
    before = rows("SELECT * FROM emails")
    assert promote.promote_due(NOW + HOUR) == 0
    assert rows("SELECT * FROM emails") == before


def test_the_next_due_is_known(relay: Relay) -> None:
    add_config()
    assert promote.next_due(NOW) is None
    submit(relay, NOW)
    assert promote.next_due(NOW) is None
    submit(relay, NOW, send_at=NOW + HOUR)
    assert promote.next_due(NOW) == NOW + HOUR
    assert promote.next_due(NOW + 2 * HOUR) == NOW + 2 * HOUR


@sqlite_only
def test_the_index_of_due_mail_is_used(relay: Relay) -> None:
    plan = rows(
        f"EXPLAIN QUERY PLAN SELECT id FROM {promote._DUE} AND available_at <= 5 ORDER BY available_at"
    )
    assert "USING INDEX emails_due (available_at<?)" in str(plan)
    assert "TEMP B-TREE" not in str(plan)
