"""The machine loses its power: every write after the last fsync of its file is gone, and it boots anew.

Whatever was answered is there. What was on its way may go a second time, never without an `unknown` event.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pysqlite3 import dbapi2 as sqlite

from tests.faults.disk import Disk
from tests.faults.trial import Trial
from tests.support.chaos import Load, Sums

Tell = Callable[..., None]


class Machine:
    """A trial on a disk that forgets. `leased`: emails claimed at the cuts, as the disk knew it afterwards."""

    def __init__(self, trial: Trial, disk: Disk) -> None:
        self.trial, self.disk = trial, disk
        self.leased = 0
        trial.daemon.settings |= disk.environment

    def cut(self, chance: random.Random | None = None) -> None:
        """The processes are dead by now."""
        self.disk.power_cut(chance)
        self.leased += self._claimed()

    def _claimed(self) -> int:
        return len(self.read("SELECT id FROM emails WHERE state = 'sending'"))

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        """From a copy, since opening a database mends it."""
        copy = self.trial.folder / "copy"
        shutil.copytree(self.disk.data, copy)
        connection = sqlite.connect(str(copy / "mailferry.db"))
        try:
            return list(connection.execute(sql))
        finally:
            connection.close()
            shutil.rmtree(copy)

    def finish(self, accepted: list[int] | None = None) -> Sums:
        sums = self.trial.finish(accepted)
        sums.most_unknown += self.leased
        return sums


@pytest.mark.parametrize("place", [
    "before-answer", "after-claim", "dot:2", pytest.param("final", marks=pytest.mark.long),
    pytest.param("after-record:3", marks=pytest.mark.long),
])  # fmt: skip
def test_power_lost_at(tmp_path: Path, tell: Tell, place: str) -> None:
    with Trial(tmp_path) as trial:
        machine = Machine(trial, Disk(tmp_path, forgets=True))
        trial.arm(place)
        trial.daemon.start()
        trial.add_config()
        trial.client.post(5)
        trial.client.post_batch(10)
        trial.wait_for_death()
        machine.cut()
        trial.disarm()
        trial.daemon.start()
        tell(machine.finish())


def test_power_lost_under_load(tmp_path: Path, tell: Tell) -> None:
    tell(power_lost_under_load(tmp_path, 3))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_power_lost_often_with_some_of_the_unsynced_writes_kept(
    tmp_path: Path, tell: Tell, seed: int
) -> None:
    tell(power_lost_under_load(tmp_path, 8, random.Random(seed)))


@pytest.mark.parametrize("level", ["OFF", "NORMAL"])
def test_an_accept_without_fsync_would_be_noticed(tmp_path: Path, level: str) -> None:
    """The disk really forgets: of a daemon that answers before the fsync, accepted mail is lost."""
    with Trial(tmp_path) as trial:
        machine = Machine(trial, Disk(tmp_path, forgets=True))
        trial.arm("before-answer:5", FAULT_SYNC=level)
        trial.daemon.start()
        trial.client.post(5, smtp_config_id=trial.add_config())
        trial.wait_for_death()
        assert len(trial.client.accepted) == 4
        machine.cut()
        assert set(trial.client.accepted) - {
            email_id for (email_id,) in machine.read("SELECT id FROM emails")
        }


def power_lost_under_load(folder: Path, cuts: int, chance: random.Random | None = None) -> Sums:
    moments = random.Random(cuts)
    with Trial(folder) as trial:
        machine = Machine(trial, Disk(folder, forgets=True))
        trial.daemon.start()
        trial.add_config()
        with Load(trial.daemon.url, 4, {}) as load:
            for _ in range(cuts):
                time.sleep(moments.uniform(0.3, 1.2))
                trial.daemon.kill()
                trial.faults += 1
                machine.cut(chance)
                trial.daemon.start()
            time.sleep(0.3)
        sums = machine.finish(load.accepted)
        assert sums.accepted > 20
        return sums
