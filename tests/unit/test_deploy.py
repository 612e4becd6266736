"""Files for Docker and systemd, held to what is in the repository. No image is built here, no unit started."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

import config
from controllers.cli import cli

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "deploy/systemd"
DOCKERFILE = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
STEPS = [line.split(maxsplit=1) for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SETTINGS = {one.name.upper(): one for one in fields(config.Settings)} | {"ENV_FILE": None}
DRAIN = int(SETTINGS["DRAIN_SECONDS"].metadata["default"])  # type: ignore[union-attr]


def steps(instruction: str) -> list[str]:
    return [rest for name, rest in STEPS if name == instruction]


def tracked() -> set[str]:
    """Files of the repository; without git (a release as an archive) those that are there."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        return {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*")}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listed.stdout.split())


def copied() -> list[str]:
    return [one for rest in steps("COPY") if "--from" not in rest for one in rest.split()[:-1]]


def test_what_the_image_copies_is_tracked_and_not_ignored() -> None:
    files = tracked()
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for one in copied():
        assert one in files or any(file.startswith(f"{one}/") for file in files), one
    assert set(copied()) == allowed, "all else stays out of the build, .env above all"


def test_the_image_has_every_room_of_the_program() -> None:
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    rooms |= {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms - {"tests", "benchmarks"} <= set(copied())
    assert {"templates", "static", "app.py", "config.py", "gunicorn.conf.py"} <= set(copied())


def test_the_image_does_not_run_as_root_and_gets_its_signals() -> None:
    assert steps("USER") == ["10001:10001"]
    assert steps("ENTRYPOINT") == ['["python", "app.py"]'], "the exec form"
    (command,) = steps("CMD")
    assert yaml.safe_load(command)[0] in cli.commands
    assert "CMD [" in steps("HEALTHCHECK")[0] and "curl" not in DOCKERFILE


def test_what_the_image_sets_are_settings() -> None:
    set_ = dict(pair.split("=", 1) for pair in steps("ENV")[0].split())
    python = {"PATH", "PYTHONUNBUFFERED"}
    assert set(set_) - python <= set(SETTINGS)
    assert steps("EXPOSE") == [set_["PORT"]] and steps("VOLUME") == [set_["DATA_DIR"]]


def test_compose_sets_settings_and_waits_for_the_drain() -> None:
    relay = COMPOSE["services"]["relay"]
    assert set(relay["environment"]) <= set(SETTINGS)
    assert int(relay["stop_grace_period"].rstrip("s")) >= DRAIN + 15
    assert relay["ports"] == ["${PUBLISH:-127.0.0.1:5000}:5000"], "never on all addresses unless asked to"
    for service in COMPOSE["services"].values():
        for volume in service["volumes"]:
            assert volume.partition(":")[0] in COMPOSE["volumes"]


def test_postgresql_is_there_only_when_asked_for() -> None:
    plain = {name for name, service in COMPOSE["services"].items() if "profiles" not in service}
    assert plain == {"relay"}
    assert COMPOSE["services"]["relay"]["depends_on"]["postgres"]["required"] is False


def unit(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().splitlines():
        if line and line[0] not in "#[":
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("name", ["mailferry.service", "mailferry-backup.service"])
def test_a_unit_starts_what_there_is_with_settings_that_there_are(name: str) -> None:
    service = unit(name)
    (start,) = service["ExecStart"]
    python, script, command, *options = start.split()
    assert python.endswith("/.venv/bin/python") and script == "/opt/mailferry/app.py"
    known = {option for one in cli.commands[command].params for option in one.opts}
    assert {one for one in options if one.startswith("--")} <= known
    names = {pair.partition("=")[0] for pair in service["Environment"][0].split()}
    assert names == {"DATA_DIR", "ENV_FILE"} <= set(SETTINGS)
    assert service["NoNewPrivileges"] == ["yes"] and service["ProtectSystem"] == ["strict"]
    assert "ProcSubset" not in service, "the boot id must be readable"


def test_the_unit_gives_a_drain_its_time() -> None:
    assert int(unit("mailferry.service")["TimeoutStopSec"][0]) >= DRAIN + 15


def test_the_backup_goes_where_the_unit_may_write() -> None:
    service = unit("mailferry-backup.service")
    target = service["ExecStart"][0].split("--to ")[1].split()[0]
    assert target.removeprefix("/var/lib/") in service["StateDirectory"][0].split()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed here")
def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    names = sorted(one.name for one in UNITS.iterdir())
    assert len(names) == 3
    for name in names:
        text = (
            (UNITS / name).read_text().replace("/opt/mailferry/.venv/bin/python", shutil.which("true") or "")
        )
        text = text.replace("WorkingDirectory=/opt/mailferry", f"WorkingDirectory={tmp_path}")
        text = text.replace("User=mailferry", "User=daemon").replace("Group=mailferry", "Group=daemon")
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in names)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    ours: Any = [line for line in done.stderr.splitlines() if "mailferry" in line]
    assert (done.returncode, ours) == (0, [])
