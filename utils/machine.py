"""Facts of the machine we run on."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
from pathlib import Path

from utils.clock import monotonic

FRESH_SECONDS = 0.25

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Changes with every boot, so that a lease tells a killed process from a power cut.

    Where the kernel offers none (macOS), an empty string: such a machine's reboots count as process deaths.
    """
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def host_name() -> str:
    return socket.gethostname()


def free_bytes(folder: Path) -> int:
    """Bytes an ordinary user may still write below `folder`."""
    return shutil.disk_usage(folder).free


class FreeSpace:
    """The same for the folder of a file, looked up a few times a second: a look costs as much as a statement."""

    def __init__(self, path: str) -> None:
        self._folder = Path(path).parent
        self._until = 0.0
        self._bytes = 0

    def bytes(self) -> int:
        if monotonic() >= self._until:
            self._bytes, self._until = free_bytes(self._folder), monotonic() + FRESH_SECONDS
        return self._bytes


def pid_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Make a rename in it survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def os_user() -> str:
    """Who runs this process; with whoever logged in, where that is somebody else (sudo)."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user need not have a name
        name = f"user {os.getuid()}"
    try:
        login = os.getlogin()
    except OSError:  # no terminal
        return name
    return name if login == name else f"{login} as {name}"
