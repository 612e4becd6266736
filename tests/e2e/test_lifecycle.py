"""Start, stop and start again, as a supervisor does it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.support.chaos import Load, query, sink_process, sums, wait_until_quiet
from tests.support.daemon import ROOT, Daemon
from tests.support.sink import Sink


def test_sigterm_under_load_drains_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    log = tmp_path / "delivered.jsonl"
    daemon = Daemon(tmp_path, queue_workers=4, drain_seconds=10)
    with sink_process(log) as port:
        daemon.start()
        daemon.add_config(port, max_connections=5)
        with Load(daemon.url, 4, {}) as load:
            time.sleep(2)
            took = daemon.stop()
        assert took < 12
        states = dict(query(daemon, "SELECT state, count(*) FROM emails GROUP BY state"))
        assert "sending" not in states
        assert "unknown" not in states
        assert query(daemon, "SELECT id FROM instances") == []
        daemon.start()
        wait_until_quiet(daemon)
        daemon.stop()
        result = sums(daemon, load.accepted, log, faults=0)
    result.check()
    assert result.doubled == [] and result.unknown == 0


def test_a_stop_with_a_silent_server_ends_in_time_and_says_unknown(tmp_path: Path) -> None:
    with Sink() as sink:
        sink.hooks.on_data = lambda message: "<silence>"
        daemon = Daemon(tmp_path, drain_seconds=2)
        with daemon:
            daemon.add_config(sink.port)
            one = daemon.send(on_unknown="hold")
            while daemon.get(f"/api/emails/{one}")["status"] != "sending":
                time.sleep(0.02)
            time.sleep(0.3)
            assert daemon.stop() < 10
        assert query(daemon, "SELECT state FROM emails") == [("unknown",)]


def test_a_second_daemon_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with Daemon(tmp_path) as first:
        second = subprocess.run(
            [sys.executable, str(ROOT / "app.py"), "serve"],
            env={**first.environment, "PORT": "0"}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode != 0
        assert "in use by another daemon" in second.stderr
        assert first.get("/health")["status"] == "healthy"


def test_the_answer_to_a_repeated_request_survives_a_restart(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    body = {"subject": "s", "recipients": ["ann@example.com"], "text_content": "t"}
    with Sink() as sink:
        with daemon:
            daemon.add_config(sink.port)
            first = daemon.post("/api/emails", body, headers={"Idempotency-Key": "k"})
        with daemon:
            again = daemon.http.post(f"{daemon.url}/api/emails", json=body, headers={"Idempotency-Key": "k"})
            assert (again.status_code, again.json()) == (201, first)
            assert again.headers["Idempotent-Replayed"] == "true"
            other = daemon.http.post(
                f"{daemon.url}/api/emails",
                json={**body, "subject": "other"},
                headers={"Idempotency-Key": "k"},
            )
            assert other.status_code == 422


@pytest.mark.parametrize("processes", [1, 2])
def test_fifty_requests_with_one_key_at_once_make_one_email(tmp_path: Path, processes: int) -> None:
    import requests

    with Sink() as sink, Daemon(tmp_path, web_concurrency=processes) as daemon:
        daemon.add_config(sink.port)
        answers: list[tuple[int, int]] = []

        def post() -> None:
            answer = requests.post(
                f"{daemon.url}/api/emails",
                json={"subject": "s", "recipients": ["ann@example.com"], "text_content": "t"},
                headers={"X-API-Key": daemon.http.headers["X-API-Key"], "Idempotency-Key": "one"},
                timeout=30,
            )
            answers.append((answer.status_code, answer.json()["email_id"]))

        threads = [threading.Thread(target=post) for _ in range(50)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(answers) == 50 and set(answers) == {(201, answers[0][1])}
        sink.wait_for(1)
        assert query(daemon, "SELECT count(*) FROM emails") == [(1,)]


def test_each_email_is_sent_once_by_two_processes(tmp_path: Path) -> None:
    with Sink() as sink, Daemon(tmp_path, web_concurrency=2) as daemon:
        daemon.add_config(sink.port, max_connections=8)
        with Load(daemon.url, 6, {}) as load:
            time.sleep(3)
        end = time.monotonic() + 60
        while time.monotonic() < end and daemon.get("/api/queue")["counts"].get("sent", 0) < len(
            load.accepted
        ):
            time.sleep(0.1)
        assert len({one.message_id for one in sink.messages}) == len(sink.messages) == len(load.accepted)
        assert query(daemon, "SELECT count(*) FROM leaders") == [(1,)]
