from __future__ import annotations

import pytest

from models import Event
from models.database import write
from services.errors import NotFoundError
from services.relay import Relay
from services.timeline import timeline
from tests.queue.making import NOW, attempt, change, tenant
from tests.support.relay import add_config, submit
from utils.clock import iso


def note(email_id: int, at: int, kind: str) -> None:
    write(lambda: Event.create(email_id=email_id, at=at, type=kind, detail="by hand"))


def test_rows_attempts_and_events_make_one_line_of_time(relay: Relay) -> None:
    config = add_config(name="main")
    one = submit(relay, NOW)
    attempt(one, config, NOW + 100, outcome="retry", code=451, reply="later", stage="rcpt", dot_at=None)
    attempt(one, config, NOW + 900, outcome="unknown", code=None, reply=None)
    note(one, NOW + 920, "unknown_held")
    note(one, NOW + 500, "changed")
    change(one, state="sending", carrier_id=config, claimed_at=NOW + 1_500, dot_at=NOW + 1_510)
    lines = timeline(None, one)
    assert [(line["at"], line["type"]) for line in lines] == [
        (iso(NOW), "accepted"),
        (iso(NOW + 100), "claimed"),
        (iso(NOW + 120), "deferred"),
        (iso(NOW + 500), "changed"),
        (iso(NOW + 900), "claimed"),
        (iso(NOW + 910), "handed_over"),
        (iso(NOW + 920), "unknown"),
        (iso(NOW + 920), "unknown_held"),
        (iso(NOW + 1_500), "claimed"),
        (iso(NOW + 1_510), "handed_over"),
    ]
    assert lines[2] | {"smtp_config": "main", "code": 451, "reply": "later"} == lines[2]
    assert lines[3]["detail"] == "by hand"


def test_an_end_needs_no_event_of_its_own(relay: Relay) -> None:
    config = add_config()
    one = submit(relay, NOW)
    attempt(one, config, NOW)
    change(one, state="sent", carrier_id=config, claimed_at=NOW)
    assert [line["type"] for line in timeline(None, one)] == ["accepted", "claimed", "handed_over", "sent"]


def test_another_tenants_timeline_is_not_found(relay: Relay) -> None:
    add_config(shared=True)
    one = submit(relay, NOW, tenant("ours"))
    assert timeline("ours", one)
    with pytest.raises(NotFoundError):
        timeline("theirs", one)
