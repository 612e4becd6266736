from __future__ import annotations

from collections import deque

from prometheus_client.parser import text_string_to_metric_families

from models import Attempt, Email
from models.database import write
from services import actions, expire, history, metrics, tallies
from services.relay import Relay
from tests.queue.making import NOW, attempt, change_recipient, ended
from tests.support.relay import add_config, delivering, state, submit, wait_for
from tests.support.sink import Sink
from utils.clock import HOUR, SECOND, now_ms


def count_all() -> None:
    tallies.count(*tallies.last_ids())


def samples(relay: Relay) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(metrics.render(relay, now_ms())[0].decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_what_became_of_real_deliveries_is_counted_once(relay: Relay) -> None:
    with Sink() as sink:
        add_config(sink.port)
        sink.reply_to_rcpt("gone@example.com", "550 5.1.1 no such user")
        sink.reply_to_rcpt("later@example.com", "450 4.2.0 later")
        sent = [submit(relay) for _ in range(3)]
        refused = submit(relay, to=["gone@example.com"])
        put_off = submit(relay, to=["later@example.com"])
        given_up = submit(relay, to=["later@example.com"], max_retries=0)
        with delivering(relay):
            wait_for(
                lambda: [state(one) for one in (*sent, refused, given_up)] == ["sent"] * 3 + ["failed"] * 2
            )
            wait_for(lambda: state(put_off) == "retry")
    for _ in range(2):
        count_all()
        found = samples(relay)
        assert found["mailferry_sent_total",] == 3
        assert found["mailferry_failed_total",] == 2, "one refused, one given up"
        assert found["mailferry_attempts_total", "sent"] == 3
        hour = history.steps("hour", now_ms())
        assert [sum(one.of(what) for one in hour) for what in ("accepted", "sent", "failed")] == [6, 3, 2]
        assert found["mailferry_attempts_total", "retry"] == 2
        assert found["mailferry_attempts_total", "failed"] == 1
        assert found["mailferry_delivery_seconds_count",] == 3
        assert found["mailferry_delivery_seconds_bucket", "60"] == 3


def test_the_leader_counts_by_itself(relay: Relay) -> None:
    with Sink() as sink:
        add_config(sink.port)
        submit(relay)
        with delivering(relay):
            wait_for(lambda: tallies.totals()["ended/sent"] == 1)


def test_delivery_times_fall_into_their_buckets(relay: Relay) -> None:
    config = add_config()
    for took in (80, 100, 700, 200 * HOUR):
        one = ended(relay, "sent", NOW)
        write(
            lambda one=one, took=took: Email.update(finished_at=NOW + took).where(Email.id == one).execute()
        )
        attempt(one, config, finished_at=NOW + took)
    count_all()
    found = samples(relay)
    by_bound = [
        found["mailferry_delivery_seconds_bucket", le] for le in ("0.1", "0.25", "0.5", "1", "86400", "+Inf")
    ]
    assert by_bound == [2, 2, 2, 3, 3, 4]
    assert found["mailferry_delivery_seconds_sum",] == 200 * 3600 + 0.88


def test_a_later_attempt_of_the_same_email_ends_it_once(relay: Relay) -> None:
    config = add_config()
    one = ended(relay, "sent", NOW)
    attempt(one, config, finished_at=NOW - HOUR, outcome="retry")
    attempt(one, config, finished_at=NOW)
    count_all()
    totals = tallies.totals()
    assert (totals["attempts/retry"], totals["attempts/sent"], totals["ended/sent"]) == (1, 1, 1)


def test_mail_that_ends_without_an_attempt_counts_as_what_it_ended_as(relay: Relay) -> None:
    add_config()
    submit(relay, NOW, expires_at=NOW + SECOND)
    half = submit(relay, NOW, expires_at=NOW + SECOND, to=["ann@example.com", "bob@example.com"])
    change_recipient(half, 0, state="sent")
    actions.cancel(None, submit(relay, NOW), NOW)
    expire.expire_due(NOW + HOUR)
    for outcome in ("sent", "failed", "failed"):
        actions.resolve(None, ended(relay, "unknown"), outcome, NOW + HOUR)
    count_all()
    found = samples(relay)
    assert (found["mailferry_sent_total",], found["mailferry_failed_total",]) == (2, 3)
    assert [found["mailferry_events_total", one] for one in ("expired", "resolved", "cancelled")] == [2, 3, 1]


def test_many_are_counted_in_steps_and_rows_that_are_gone_stay_counted(relay: Relay) -> None:
    config = add_config()
    one = ended(relay, "failed")
    rows = [
        {"email_id": one, "smtp_config_id": config, "instance_id": 1, "claimed_at": 1, "finished_at": n, "stage": "s",
         "outcome": "retry", "blame": "nobody"}
        for n in range(tallies.STEP + 5)
    ]  # fmt: skip
    write(lambda: Attempt.insert_many(rows).execute())
    count_all()
    write(lambda: Attempt.delete().execute())
    count_all()
    assert tallies.totals()["attempts/retry"] == tallies.STEP + 5


def test_what_another_leader_counted_is_not_counted_again(relay: Relay) -> None:
    config = add_config()
    attempt(ended(relay, "sent", NOW), config)
    stale = tallies._next("attempts", 1)
    count_all()
    from collections import Counter

    assert not tallies._counted("attempts", *stale, Counter({"attempts/sent": 1}), Counter())
    assert tallies.totals()["attempts/sent"] == 1


def test_accepting_times_are_added_and_taken_off_the_list(relay: Relay) -> None:
    for times in ([1, 30], [30, 99_999]):
        collected = deque(times)
        tallies.flush(collected)
        assert not collected
    found = samples(relay)
    by_bound = [
        found["mailferry_accept_seconds_bucket", le] for le in ("0.002", "0.025", "0.05", "10", "+Inf")
    ]
    assert by_bound == [1, 1, 3, 3, 4]
    assert found["mailferry_accept_seconds_sum",] == 100.06
