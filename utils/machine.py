"""Facts of the machine we run on."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

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


def pid_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
