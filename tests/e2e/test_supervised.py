"""As systemd and Docker run it: told when it is ready, from the files that the image copies, stopped by SIGTERM."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from tests.support.daemon import Daemon, free_port
from tests.unit.test_deploy import ROOT, copied, steps


def test_systemd_is_told_when_it_is_ready(tmp_path: Path) -> None:
    """Type=notify: sd_notify(3) by datagram."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(20)
        with Daemon(tmp_path, notify_socket=tmp_path / "notify"):
            assert told.recv(1000).startswith(b"READY=1")


def test_the_files_of_the_image_are_enough_to_run(tmp_path: Path) -> None:
    """The steps of the Dockerfile's last stage in a plain folder, with this environment's packages for /venv."""
    app, data, port = tmp_path / "app", tmp_path / "data", str(free_port())
    app.mkdir()
    for one in copied():
        whole = shutil.copytree if (ROOT / one).is_dir() else shutil.copy2
        whole(ROOT / one, app / one)
    env: dict[str, str] = dict(pair.split("=", 1) for pair in steps("ENV")[0].split())
    env |= {
        "PATH": os.environ["PATH"],
        "HOST": "127.0.0.1",
        "PORT": port,
        "SANDBOX_SMTP_PORT": str(free_port()),
    }
    env |= {"DATA_DIR": str(data), "ENV_FILE": str(data / ".env")}
    data.mkdir(mode=0o700)
    entry: Any = yaml.safe_load(steps("ENTRYPOINT")[0])
    health: Any = yaml.safe_load(steps("HEALTHCHECK")[0].partition("CMD ")[2])
    arguments = [*entry[1:], *yaml.safe_load(steps("CMD")[0])]
    running = subprocess.Popen(
        [sys.executable, *arguments], cwd=app, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 30
        while subprocess.run(
            [sys.executable, *health[1:]], env=env, stderr=subprocess.DEVNULL, check=False
        ).returncode:
            assert time.monotonic() < end and running.poll() is None
            time.sleep(0.1)
        assert sorted(one.name for one in data.iterdir())[0] == ".env", "it kept its secrets in the volume"
        assert (data / ".env").stat().st_mode & 0o777 == 0o600
        assert not (app / ".env").exists() and not (app / "data").exists()
        running.send_signal(signal.SIGTERM)
        assert running.wait(45) == 0
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
