"""A disk that is full, cannot be written, or fails to fsync: nothing is promised that is not kept, nothing is sent
twice, and work goes on once there is room again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.disk import Disk
from tests.faults.trial import Trial
from tests.support.daemon import ROOT

Tell = Callable[..., None]


def readiness(trial: Trial) -> tuple[int, str]:
    answer = trial.daemon.http.get(f"{trial.daemon.url}/ready", timeout=30)
    return answer.status_code, answer.text


def post(trial: Trial) -> int:
    body = {"subject": "Hello", "recipients": ["ann@example.com"], "text_content": "Hello"}
    return trial.daemon.http.post(f"{trial.daemon.url}/api/emails", json=body, timeout=30).status_code


@pytest.mark.parametrize("state", ["full", "readonly", "broken"])
def test_a_disk_that_fails_while_accepting(tmp_path: Path, tell: Tell, state: str) -> None:
    disk = Disk(tmp_path)
    with Trial(tmp_path, **disk.environment) as trial:
        trial.daemon.start()
        trial.add_config()
        trial.client.post(3)
        disk.becomes(state)
        time.sleep(1.1)  # for readiness to look anew
        assert post(trial) == (507 if state == "full" else 500)
        trial.client.post(3)
        trial.client.post_batch(5)
        if state != "broken":  # its probe is not fsynced
            assert readiness(trial)[0] == 503
        disk.becomes("well")
        trial.client.post(3)
        tell(trial.finish())


@pytest.mark.parametrize("place", [
    "before-claim", pytest.param("before-fence:2", marks=pytest.mark.long), "after-fence:2", "before-record:2",
])  # fmt: skip
def test_a_disk_that_is_full_at(tmp_path: Path, tell: Tell, place: str) -> None:
    """Between the dot and the record too: what is known is kept until it can be written, so nothing is unknown."""
    disk = Disk(tmp_path)
    with Trial(tmp_path, **disk.environment) as trial:
        trial.arm(place, do=str(disk.switch))
        trial.daemon.start()
        trial.add_config()
        trial.client.post_batch(10)
        trial.wait_for_fault()
        time.sleep(2)
        assert post(trial) == 507
        assert trial.daemon.http.get(f"{trial.daemon.url}/health", timeout=5).status_code == 200
        disk.becomes("well")
        tell(trial.finish())


@pytest.mark.parametrize("nth", [pytest.param(1, marks=pytest.mark.long), 10])
def test_a_disk_that_is_full_when_more_is_to_be_claimed_for_a_connection(
    tmp_path: Path, tell: Tell, nth: int
) -> None:
    """With an email's dot marked already, which must go out all the same."""
    disk = Disk(tmp_path)
    with Trial(tmp_path, queue_workers=1, **disk.environment) as trial:
        trial.arm(f"after-fence:{nth}", do=str(disk.switch))
        trial.daemon.start()
        config = trial.add_config(active=False, max_connections=1)
        trial.client.post_batch(20, smtp_config_id=config)
        trial.daemon.http.put(f"{trial.daemon.url}/api/smtp-configs/{config}", json={"active": True})
        trial.wait_for_fault()
        time.sleep(1)
        disk.becomes("well")
        tell(trial.finish())


def test_a_disk_that_is_full_when_it_starts_is_named(tmp_path: Path) -> None:
    assert "disk is full" in refusal(tmp_path, "full")


def test_a_database_that_cannot_be_written_is_named_at_the_start(tmp_path: Path) -> None:
    said = refusal(tmp_path, "readonly")
    assert "cannot be written" in said
    assert str(tmp_path / "data") in said


def refusal(folder: Path, state: str) -> str:
    """What the daemon says on a database of before; it does not start."""
    disk = Disk(folder)
    with Trial(folder, **disk.environment) as trial:
        trial.daemon.start()
        trial.daemon.stop()
        disk.becomes(state)
        ended = subprocess.run(
            [sys.executable, str(ROOT / "app.py"), "serve"], cwd=folder, env=trial.daemon.environment,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ended.returncode not in (0, None)
        assert "Traceback" not in ended.stderr
        return ended.stderr
