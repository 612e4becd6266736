"""`python app.py` as a process of its own, beside a running relay."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.ca import TestCA
from tests.support.daemon import ROOT, Daemon, free_port
from tests.support.database import sqlite_only
from tests.support.sink import Sink


def app(daemon: Daemon, *argv: str, **env: str) -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "app.py"), *argv, "--json"], env=daemon.environment | env, cwd=daemon.folder,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_beside_a_running_relay_the_doctor_is_content_and_mail_goes(tmp_path: Path) -> None:
    with Daemon(
        tmp_path, sandbox="on", sandbox_smtp_port=free_port(), message_id_domain="relay.example"
    ) as daemon:
        status, sent = app(daemon, "send", "--to", "ann@example.com", "--text", "Hi", "--wait")
        assert (status, sent["status"]) == (0, "sent")
        (caught,) = daemon.get("/api/sandbox")
        assert caught["envelope"]["rcpt_tos"] == ["ann@example.com"]
        status, report = app(daemon, "doctor")
        checks = {one["name"]: one for one in report["checks"]}
        assert status == 0 and {one["state"] for one in checks.values()} <= {"ok", "warn"}
        assert "running: process" in checks["daemon"]["detail"]
        assert "ehlo:" in checks["config 1 (Sandbox)"]["detail"]


def test_a_send_that_fails_for_good_is_status_1(tmp_path: Path) -> None:
    with Sink() as sink, Daemon(tmp_path) as daemon:
        sink.reply_to_rcpt("gone@example.com", "550 5.1.1 no such user")
        daemon.add_config(sink.port)
        status, sent = app(daemon, "send", "--to", "gone@example.com", "--text", "Hi", "--wait")
    assert (status, sent["status"]) == (1, "failed")
    assert "no such user" in sent["error_message"]


@pytest.mark.parametrize(("days", "state"), [(60, "ok"), (3, "warn")])
def test_the_doctor_counts_the_days_of_a_certificate(tmp_path: Path, days: int, state: str) -> None:
    ca = TestCA(tmp_path)
    with Sink(tls=ca.server("127.0.0.1", days=days)) as sink:
        daemon = Daemon(tmp_path)
        server = ("--host", "127.0.0.1", "--port", str(sink.port))
        app(daemon, "configs", "add", "--name", "relay", "--email", "a@sender.test", *server)
        _, report = app(daemon, "doctor", SSL_CERT_FILE=ca.file)
    check = next(one for one in report["checks"] if one["name"] == "config 1 (relay)")
    assert check["state"] == state and f"{days - 1} days left" in check["detail"]


@sqlite_only
def test_a_backup_is_verified_where_there_is_no_relay_and_no_key(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    login = ("--username", "u", "--password-stdin")
    app(daemon, "configs", "add", "--name", "c", "--email", "a@b.de", "--host", "127.0.0.1", *login)
    _, taken = app(daemon, "backup")
    elsewhere = {
        "PATH": daemon.environment["PATH"],
        "ENV_FILE": str(tmp_path / "none" / ".env"),
        "DATA_DIR": "/none",
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / "app.py"), "verify", taken["file"]],
        env=elsewhere, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "state" in done.stdout and not (tmp_path / "none").exists() and not Path("/none").exists()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_shown_on_a_terminal_alone(tmp_path: Path, terminal: bool) -> None:
    daemon = Daemon(tmp_path)
    app(daemon, "keys", "list")
    command = [sys.executable, str(ROOT / "app.py"), "emails", "cancel", "7"]
    read, written = pty.openpty() if terminal else os.pipe()
    done = subprocess.run(command, env=daemon.environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=written,
                          text=True, timeout=60, check=False)  # fmt: skip
    os.close(written)
    said = os.read(read, 65_536).decode()
    os.close(read)
    assert (done.returncode, done.stdout) == (1, "Cancelled: 0 emails.\n")
    assert ("Cancelled  [####" in said) is terminal and "7: no email 7" in said
