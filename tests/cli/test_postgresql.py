"""What the command line and a start say of a PostgreSQL server: where it is, never its password."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import requests

from models.database import database
from services.doctor import server
from tests.cli.conftest import CommandLine
from tests.support.cut import Wire
from tests.support.daemon import ROOT, Daemon, free_port
from tests.support.database import location, postgresql_only
from tests.support.postgres import PASSWORD, USER
from tests.support.relay import wait_for

pytestmark = postgresql_only


def nowhere() -> str:
    return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{free_port()}/mail"


def test_the_doctor_names_the_server_its_version_and_its_durability(run: CommandLine) -> None:
    run("keys", "list")
    result = run("doctor", "--json")
    checks = {one["name"]: one for one in result.json["checks"]}
    assert checks["database"]["state"] == "ok"
    assert "postgresql://127.0.0.1:" in checks["database"]["detail"]
    assert "PostgreSQL 18" in checks["database"]["detail"]
    assert {checks[name]["state"] for name in ("durability", "connections", "server clock")} == {"ok"}
    assert "disk space" not in checks, "it is not this machine's"
    assert PASSWORD not in result.out + result.err


def test_a_clock_that_is_off_is_told(run: CommandLine) -> None:
    run("keys", "list")
    assert server._clock(database.obj.clock()).state == "ok"
    assert server._clock(database.obj.clock() + 10_000).state == "warn"


def test_the_doctor_tells_of_a_server_that_is_away(run: CommandLine) -> None:
    run.env["DATABASE_URL"] = nowhere()
    result = run("doctor", "--json")
    check = next(one for one in result.json["checks"] if one["name"] == "database")
    assert result.status == 1 and check["state"] == "fail" and "cannot be reached" in check["detail"]
    assert "DATABASE_URL" in check["advice"]
    assert PASSWORD not in result.out + result.err


def test_a_command_without_its_database_is_one_line(run: CommandLine) -> None:
    run.env["DATABASE_URL"] = nowhere()
    result = run("keys", "list")
    assert result.status == 1 and len(result.err.splitlines()) == 1
    assert "PostgreSQL" in result.err and PASSWORD not in result.err


def answers(daemon: Daemon) -> bool:
    try:
        return bool(daemon.get("/health"))
    except requests.ConnectionError:
        return False


def test_a_daemon_waits_for_a_server_that_starts_after_it(tmp_path: Path) -> None:
    wire, through = Wire.to(str(location(tmp_path)))
    with wire:
        wire.cut()
        daemon = Daemon(tmp_path, database_url=through)
        with daemon.log.open("ab") as log:
            daemon.process = subprocess.Popen(
                [sys.executable, str(ROOT / "app.py"), "serve"],
                cwd=tmp_path, env=daemon.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_for(lambda: "action=database_awaited" in daemon.log.read_text(), 30)
        assert daemon.process.poll() is None
        wire.mend()
        wait_for(lambda: answers(daemon), 40)
        daemon.stop()
        assert PASSWORD not in daemon.log.read_text()


def test_two_daemons_on_one_data_folder_are_refused_and_on_two_are_not(tmp_path: Path) -> None:
    url = str(location(tmp_path))
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    with Daemon(one, database_url=url) as first, Daemon(two, database_url=url) as second:
        assert first.get("/health") and second.get("/health")
        third = subprocess.run(
            [sys.executable, str(ROOT / "app.py"), "serve"],
            env=first.environment | {"PORT": "0"}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert third.returncode != 0 and "in use by another daemon" in third.stderr
        assert PASSWORD not in third.stderr
    assert PASSWORD not in first.log.read_text() + second.log.read_text()


def test_tail_waits_for_a_server_that_went_away(tmp_path: Path) -> None:
    wire, through = Wire.to(str(location(tmp_path)))
    with wire, Daemon(tmp_path, database_url=str(location(tmp_path))) as daemon:
        daemon.add_config(free_port())
        watching = daemon.environment | {"DATABASE_URL": through}
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "app.py"), "tail", "--json", "--since", "1h", "--state", "accepted"],
            cwd=tmp_path, env=watching, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        try:
            first = daemon.send()
            assert f'"email_id": {first}' in process.stdout.readline()
            wire.cut()
            assert "is away" in process.stderr.readline()
            second = daemon.send()
            wire.mend()
            assert f'"email_id": {second}' in process.stdout.readline()
        finally:
            process.kill()
            _, said = process.communicate()
        assert PASSWORD not in said
