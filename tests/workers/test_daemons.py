"""The daemon as its own processes: who may share a database, and what all of them sit out together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.support.daemon import ROOT, Daemon
from tests.support.database import sqlite_only
from tests.support.faketime import Clock
from tests.support.sink import Sink


@sqlite_only
def test_a_second_daemon_on_the_same_database_is_refused_whatever_its_data_folder(tmp_path: Path) -> None:
    with Daemon(tmp_path) as first:
        database = f"sqlite:///{tmp_path / 'data' / 'mailferry.db'}"
        changes = {"PORT": "0", "DATA_DIR": str(tmp_path / "other"), "DATABASE_URL": database}
        second = subprocess.run(
            [sys.executable, str(ROOT / "app.py"), "serve"],
            env={**first.environment, **changes}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode != 0
        assert "in use by another daemon" in second.stderr


def test_processes_that_were_stopped_together_do_not_bury_each_other(tmp_path: Path) -> None:
    with Daemon(tmp_path, web_concurrency=2, lease_seconds=2) as daemon:
        assert daemon.process is not None
        for _ in range(2):
            time.sleep(1)
            os.killpg(daemon.process.pid, signal.SIGSTOP)
            time.sleep(4)
            os.killpg(daemon.process.pid, signal.SIGCONT)
        time.sleep(2)
        assert "declared_dead" not in daemon.log.read_text()
        assert "action=recovered" not in daemon.log.read_text()


@sqlite_only
def test_scheduled_mail_goes_though_the_clock_was_set_back(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    noon = (int(time.time()) // 86400 + 2) * 86400 + 12 * 3600
    clock.set(noon)
    with Sink() as sink, Daemon(tmp_path, wrapper=clock.wrapper) as daemon:
        daemon.add_config(sink.port)
        time.sleep(2)  # the leader has begun
        clock.set(noon - 1800)
        daemon.send(send_at=datetime.fromtimestamp(clock.now() + 3, UTC).isoformat())
        sink.wait_for(1, timeout=15)
