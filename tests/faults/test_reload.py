"""SIGHUP to the master, as after a change of .env: other processes take over, and no mail is lost or doubled."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from tests.faults.test_http import starts
from tests.faults.trial import Trial
from tests.support.chaos import Load
from tests.support.daemon import Daemon
from tests.support.relay import wait_for


def test_reloaded_under_load(tmp_path: Path, tell: Any) -> None:
    with Trial(tmp_path, web_concurrency=2) as trial:
        trial.daemon.start()
        trial.add_config()
        with Load(trial.daemon.url, 4, {}, pause=0.01) as load:
            for _ in range(2):
                wait_for_more(load)
                reload(trial.daemon)
            wait_for_more(load)
        assert len(trial.daemon.workers()) == 2
        assert not starts(Daemon(tmp_path)), "the folder is still ours"
        tell(trial.finish(load.accepted))


def wait_for_more(load: Load) -> None:
    count = len(load.accepted)
    wait_for(lambda: len(load.accepted) > count + 20)


def reload(daemon: Daemon) -> None:
    """Until none of the processes is left that there were."""
    before = {one.pid for one in daemon.workers()}
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: not before & {one.pid for one in daemon.workers()}, 60)
