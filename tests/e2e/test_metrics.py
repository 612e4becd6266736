"""The metrics of a daemon with two processes: whichever answers, it tells of both."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.chaos import Load, query, wait_until_quiet
from tests.support.daemon import Daemon
from tests.support.relay import wait_for
from tests.support.sink import Sink

EACH, THREADS = 25, 4


def samples(daemon: Daemon) -> dict[tuple[str, ...], float]:
    answer = daemon.http.get(f"{daemon.url}/metrics", timeout=10, headers={"Connection": "close"})
    families = text_string_to_metric_families(answer.text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def send_some(daemon: Daemon) -> None:
    import requests

    for _ in range(EACH):
        requests.post(  # a connection for each, so that both processes get some
            f"{daemon.url}/api/emails", headers=dict(daemon.http.headers), timeout=30,
            json={"subject": "s", "recipients": ["ann@example.com"], "text_content": "t"},
        ).raise_for_status()  # fmt: skip


def test_two_processes_add_up_and_a_restart_loses_nothing(tmp_path: Path) -> None:
    total = EACH * THREADS
    with Sink() as sink:
        daemon = Daemon(tmp_path, web_concurrency=2)
        with daemon:
            daemon.add_config(sink.port)
            threads = [threading.Thread(target=send_some, args=(daemon,)) for _ in range(THREADS)]
            for one in threads:
                one.start()
            for one in threads:
                one.join()
            wait_for(lambda: samples(daemon)["mailferry_sent_total",] == total)
            wait_for(lambda: samples(daemon)["mailferry_accept_seconds_count",] == total)
            found = samples(daemon)
            assert found["mailferry_accepted_total",] == found["mailferry_attempts_total", "sent"] == total
            assert found["mailferry_delivery_seconds_count",] == total
            assert (found["mailferry_processes",], found["mailferry_leader",]) == (2, 1)
            assert found["mailferry_storage_bytes", "database"] > 0
            daemon.send()  # just before the stop: its time is flushed on the way out
        with daemon:
            wait_for(lambda: samples(daemon)["mailferry_sent_total",] == total + 1)
            assert samples(daemon)["mailferry_accept_seconds_count",] == total + 1


def test_totals_are_exact_over_kill_9(tmp_path: Path) -> None:
    with Sink() as sink:
        daemon = Daemon(tmp_path)
        try:
            daemon.start()
            daemon.add_config(sink.port)
            with Load(daemon.url, 4, {}, pause=0.01):
                for pause in (0.7, 1.6, 2.3):
                    time.sleep(pause)
                    daemon.kill()
                    daemon.start()
            wait_until_quiet(daemon)
            stored = dict(query(daemon, "SELECT outcome, count(*) FROM attempts GROUP BY 1"))
            (ended,) = query(daemon, "SELECT count(*) FROM emails WHERE state = 'sent'")
            wait_for(lambda: samples(daemon)["mailferry_sent_total",] >= ended[0])
            found = samples(daemon)
            assert found["mailferry_sent_total",] == ended[0] > 100
            for outcome in ("sent", "retry", "failed", "unknown"):
                assert found["mailferry_attempts_total", outcome] == stored.get(outcome, 0)
        finally:
            daemon.__exit__()
