"""A daemon whose wall clock the test moves (libfaketime); its monotonic clock goes on as it is."""

from __future__ import annotations

import glob
import os
import time
from pathlib import Path
from typing import Any

import pytest


def library() -> str:
    """Path of libfaketime for threads; the test is skipped without it, which CI=true makes a failure."""
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") + glob.glob(
        "/usr/lib/faketime/libfaketimeMT.so.1"
    )
    if not found:
        message = "libfaketime is not installed: apt-get install faketime"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found[0]


class Clock:
    """`wrapper` goes before a command, which then lives in the time last set, and goes on from there."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "faketime"
        self._file.write_text("+0")
        self._offset = 0
        self.server: Any = None  # the PostgreSQL server that goes by it, if one does
        self.wrapper = [
            "env",
            f"LD_PRELOAD={library()}",
            f"FAKETIME_TIMESTAMP_FILE={self._file}",
            "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
            f"PYTHONPATH={Path(__file__).parent / 'faketime_site'}",
        ]

    def set(self, moment: float) -> None:
        """Seconds since the epoch, met to the second: libfaketime mistakes sleeps by fractions of one."""
        self._offset = round(moment - time.time())
        swap = self._file.with_suffix(".new")
        swap.write_text(f"{self._offset:+d}")
        swap.rename(self._file)

    def now(self) -> float:
        return time.time() + self._offset
