"""A page of the database that was overwritten, and emails whose rows no program of ours would have written."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pysqlite3 import dbapi2 as sqlite

from tests.faults.test_disk import readiness
from tests.faults.trial import Trial
from tests.support.daemon import ROOT, Daemon

Tell = Callable[..., None]

PAGE = 4096


def python_app(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "app.py"), *arguments], cwd=daemon.folder, env=daemon.environment,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def overwrite(daemon: Daemon, table: str) -> None:
    """The first page of a table's tree, in the file alone: whoever read it before does not notice."""
    path = daemon.folder / "data" / "mailferry.db"
    connection = sqlite.connect(str(path))
    try:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
    finally:
        connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


def execute(daemon: Daemon, sql: str, *params: Any) -> None:
    connection = sqlite.connect(
        str(daemon.folder / "data" / "mailferry.db"), timeout=30, isolation_level=None
    )
    try:
        connection.execute(sql, params)
    finally:
        connection.close()


def later() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()


def lines(daemon: Daemon, word: str) -> int:
    return daemon.log.read_text().count(word)


@pytest.mark.parametrize("table", [
    "contents", pytest.param("emails_queued", marks=pytest.mark.long), "sqlite_schema",
])  # fmt: skip
def test_a_damaged_page_stops_the_start_and_the_doctor_names_it(tmp_path: Path, table: str) -> None:
    with Trial(tmp_path) as trial:
        trial.daemon.start()
        trial.add_config(active=False)
        trial.daemon.stop()
        if table == "sqlite_schema":
            with (tmp_path / "data" / "mailferry.db").open("r+b") as file:
                file.write(b"\xa5" * PAGE)
        else:
            overwrite(trial.daemon, table)
        refused = python_app(trial.daemon, "serve")
        assert refused.returncode not in (0, None)
        assert "Traceback" not in refused.stderr
        said = refused.stderr.splitlines()[-1]
        assert "mailferry.db is damaged" in said and "doctor" in said
        doctor = python_app(trial.daemon, "doctor")
        assert doctor.returncode == 1
        assert "Traceback" not in doctor.stderr
        assert any(line.startswith("database") and "fail" in line for line in doctor.stdout.splitlines()), (
            doctor
        )
        listed = python_app(trial.daemon, "keys", "list")
        assert "Traceback" not in listed.stderr


def test_a_page_damaged_while_it_runs_shows_in_readiness_and_other_mail_goes(tmp_path: Path) -> None:
    with Trial(tmp_path, queue_workers=2) as trial:
        trial.daemon.start()
        trial.add_config()
        victim = trial.daemon.send(priority=1, send_at=later(), text_content="x" * 20_000)
        trial.daemon.stop()
        trial.daemon.start()
        spoil(trial.daemon)
        trial.daemon.http.patch(
            f"{trial.daemon.url}/api/emails/{victim}", json={"send_at": "2000-01-01T00:00:00Z"}
        )
        end = time.monotonic() + 15
        while "is damaged" not in readiness(trial)[1]:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert readiness(trial)[0] == 503
        trial.client.post(5, text_content="Hello")
        trial.sink.wait_for_accepted(5)
        time.sleep(3)
        assert lines(trial.daemon, "Traceback") < 10, "it does not try in a loop"


def spoil(daemon: Daemon) -> None:
    """Break the chain of pages of a large body of x: its row is found, its text cannot be read."""
    path = daemon.folder / "data" / "mailferry.db"
    whole = path.read_bytes()
    page = next(at for at in range(0, len(whole), PAGE) if whole[at + 4 : at + PAGE] == b"x" * (PAGE - 4))
    with path.open("r+b") as file:
        file.seek(page)
        file.write(b"\xff\xff\xff\xf0")  # the number of the page that follows


POISON = {
    "headers that are no pairs": "UPDATE contents SET headers = '[1, 2]' WHERE email_id = ?",
    "a header that is a number": """UPDATE contents SET headers = '[["X-Number", 5]]' WHERE email_id = ?""",
    "headers that are no JSON": "UPDATE contents SET headers = '[[' WHERE email_id = ?",
    "a reply-to that is no pair": "UPDATE contents SET reply_to = '[[1]]' WHERE email_id = ?",
    "a recipient without an address": "UPDATE recipients SET address = '' WHERE email_id = ?",
    "a subject that is a blob": "UPDATE emails SET subject = x'ff00ff' WHERE id = ?",
    "a body that is not UTF-8": "UPDATE contents SET text = CAST(x'ff00ff' AS TEXT) WHERE email_id = ?",
}


def test_poisoned_emails_fail_and_hold_up_nobody(tmp_path: Path, tell: Tell) -> None:
    with Trial(tmp_path, queue_workers=2, max_retries=2) as trial:
        trial.daemon.start()
        config = trial.add_config(active=False)
        trial.client.post(len(POISON), priority=1, smtp_config_id=config)
        poisoned = trial.client.accepted
        for sql, email_id in zip(POISON.values(), poisoned, strict=True):
            execute(trial.daemon, sql, email_id)
        trial.client.post_batch(20, smtp_config_id=config)
        trial.daemon.http.put(f"{trial.daemon.url}/api/smtp-configs/{config}", json={"active": True})
        trial.sink.wait_for_accepted(20)
        trial.settle()
        states = dict(trial.query("SELECT id, state FROM emails WHERE priority = 1"))
        assert {name: states[one] for name, one in zip(POISON, poisoned, strict=True)} == dict.fromkeys(
            POISON, "failed"
        )
        assert all(text for (text,) in trial.query("SELECT error_message FROM emails WHERE state = 'failed'"))
        assert lines(trial.daemon, "Traceback") < 20
        trial.client.ask_again()
        trial.daemon.stop()
        sums = trial.count([one for one in trial.client.accepted if one not in poisoned])
        tell(sums)
