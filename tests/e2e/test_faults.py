"""The daemon as a user runs it, killed and stopped under load. By hand: `python -m tests.support.chaos --help`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import chaos


def test_nothing_is_lost_or_silently_doubled_by_kill_9(tmp_path: Path) -> None:
    chaos.kill(tmp_path, faults=5).check()


@pytest.mark.long
def test_mail_on_hold_is_never_sent_twice_by_kill_9(tmp_path: Path) -> None:
    chaos.kill(tmp_path, faults=3, hold=True).check(hold=True)


def test_a_process_that_was_stopped_past_its_lease_sends_nothing_twice(tmp_path: Path) -> None:
    chaos.stop(tmp_path, faults=2, hold=True).check(hold=True)
