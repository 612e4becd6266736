"""The drill of docs/how-to/backup.md: back up under load, lose the data folder, restore, go on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pysqlite3 import dbapi2 as sqlite

from tests.support.chaos import Load, query, sink_process, wait_until_quiet
from tests.support.daemon import ROOT, Daemon
from tests.support.relay import wait_for

BURST = 600


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path, queue_workers=4)
    yield made
    made.__exit__()  # whatever went wrong, it does not run on


def app(daemon: Daemon, *argv: str) -> Any:
    done = subprocess.run(
        [sys.executable, str(ROOT / "app.py"), *argv, "--json"], env=daemon.environment, cwd=daemon.folder,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def burst(config: int) -> dict[str, Any]:
    email = {
        "subject": "burst", "recipients": ["ann@example.com"], "text_content": "Hello", "smtp_config_id": config
    }  # fmt: skip
    return {"mode": "strict", "emails": [email] * BURST}


def delivered(log: Path) -> Counter[str]:
    """How often each Message-ID was accepted by the server."""
    return Counter(json.loads(line)["message_id"] for line in log.read_text().splitlines())


class Loss:
    """A relay under load is backed up, goes on, is killed and loses its data folder."""

    def __init__(self, daemon: Daemon, port: int, log: Path) -> None:
        folder = daemon.folder
        self.daemon = daemon.start()
        self.daemon.add_config(port, max_connections=2)
        # Mail that is sure to wait in the backup, and goes out before the end: it must not be doubled unseen.
        self.slow = self.daemon.add_config(port, name="slow", weight=0)
        self.daemon.post(f"/api/smtp-configs/{self.slow}/pause")
        with Load(self.daemon.url, 4, {}, pause=0.01) as load:
            time.sleep(1.0)
            answer = self.daemon.post("/api/emails/batch", burst(self.slow))
            self.before = [*load.accepted, *(one["email_id"] for one in answer["results"])]
            taken = app(self.daemon, "backup", "--to", str(folder / "kept"))
            self.file = Path(taken["file"])
            self.in_backup = self._read()
            self.daemon.post(f"/api/smtp-configs/{self.slow}/resume")
            waited = {one for one, state in self.in_backup.values() if state != "sent"}
            wait_for(lambda: len(waited & set(delivered(log))) > BURST // 2, seconds=60)
            time.sleep(0.5)
            self.daemon.kill()
        self.ids = [*load.accepted, *self.before]
        shutil.rmtree(folder / "data")

    def _read(self) -> dict[int, tuple[str, str]]:
        copy = sqlite.connect(f"file:{self.file}?mode=ro", uri=True)
        try:
            rows = copy.execute("SELECT id, message_id, state FROM emails")
            return {email_id: (message_id, state) for email_id, message_id, state in rows}
        finally:
            copy.close()


def check(loss: Loss, log: Path) -> None:
    states = dict(query(loss.daemon, "SELECT id, state FROM emails"))
    assert {states.get(one) for one in loss.before} == {"sent"}, "all of it is there and ended sent"
    counts = delivered(log)
    marked = [message_id for message_id, state in loss.in_backup.values() if state == "sent"]
    assert marked and {counts[one] for one in marked} == {1}, "none marked sent goes twice"
    ids = {message_id: email_id for email_id, (message_id, _) in loss.in_backup.items()}
    told = {
        email_id for (email_id,) in query(loss.daemon, "SELECT email_id FROM events WHERE type = 'unknown'")
    }
    doubled = {ids[one] for one, count in counts.items() if count > 1 and one in ids}
    assert doubled <= told, "none is doubled silently"


@pytest.mark.parametrize("waiting", ["hold", pytest.param("resend", marks=pytest.mark.long)])
def test_after_a_restore_all_is_there_and_nothing_marked_sent_goes_twice(
    daemon: Daemon, tmp_path: Path, waiting: str
) -> None:
    log = tmp_path / "delivered.jsonl"
    with sink_process(log) as port:
        loss = Loss(daemon, port, log)
        assert app(daemon, "verify", str(loss.file))["ok"]
        before = delivered(log)
        done = app(daemon, "restore", str(loss.file), "--waiting", waiting)
        assert done["held" if waiting == "hold" else "sent_again"] >= BURST
        daemon.start()
        daemon.post(f"/api/smtp-configs/{loss.slow}/resume")
        new = [daemon.send() for _ in range(5)]
        assert min(new) > max(loss.ids), "no id that was ever answered means another email"
        wait_until_quiet(daemon)
        if waiting == "hold":
            (held,) = query(daemon, "SELECT count(*) FROM emails WHERE state = 'unknown'")
            assert held == (done["held"],)
            assert sum((delivered(log) - before).values()) == len(new), "what was held stays here"
            assert app(daemon, "unknown", "retry", "--all")["done"] == done["held"]
            wait_until_quiet(daemon)
        else:
            assert max(delivered(log).values()) == 2, "some went twice, which was asked for"
        daemon.stop()
        check(loss, log)
