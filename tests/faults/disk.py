"""A folder on a disk that fails when told to, and that forgets in a power cut what was not fsynced (disk.c)."""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
import uuid
from pathlib import Path

from tests.support.tools import need

SOURCE = Path(__file__).with_name("disk.c")
RECORD = struct.Struct("=QQQ")  # offset, size before, count


class Disk:
    """`environment` puts a process's files below `data` on it. Without a C compiler the test is skipped."""

    def __init__(self, folder: Path, *, forgets: bool = False) -> None:
        self.data = folder / "data"
        self._state, self._boot = folder / "disk-state", folder / "boot-id"
        self._journal = folder / "journal"
        self._journal.mkdir()
        self.boot_anew()
        library = folder / "disk.so"
        command = [need("cc", package="gcc"), "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)]
        subprocess.run([*command, "-ldl", "-lpthread"], check=True, timeout=60)
        self.environment = {
            "LD_PRELOAD": str(library),
            "DISK_FOLDER": str(self.data),
            "DISK_STATE": str(self._state),
            "DISK_BOOT_ID": str(self._boot),
        }
        if forgets:
            self.environment["DISK_JOURNAL"] = str(self._journal)

    def becomes(self, state: str) -> None:
        """full, readonly, broken or well."""
        if state == "well":
            self._state.unlink(missing_ok=True)
        else:
            swap = self._state.with_suffix(".new")
            swap.write_text(state)
            swap.rename(self._state)

    @property
    def switch(self) -> Path:
        """`full` as soon as this file exists: for a fault that strikes from inside the daemon."""
        return self._state

    def boot_anew(self) -> None:
        self._boot.write_text(f"{uuid.uuid4()}\n")

    def power_cut(self, chance: random.Random | None = None) -> None:
        """Once all processes are dead: take back what was not fsynced, all of it, or with `chance` only the later of
        each file's writes; and start the machine anew."""
        for log in self._journal.glob("*.undo"):
            self._take_back(log, chance)
        for made in self._journal.glob("*.new"):
            path = Path(made.read_text())
            if path.exists() and path.stat().st_ino == int(made.stem):
                path.unlink()
        for gone in self._journal.glob("*.gone"):
            gone.rename(gone.with_name(gone.name + ".path").read_text())
        for path in self.data.rglob("*-shm"):
            path.unlink()
        shutil.rmtree(self._journal)
        self._journal.mkdir()
        self.boot_anew()

    def _take_back(self, log: Path, chance: random.Random | None) -> None:
        name, _, records = log.read_bytes().partition(b"\n")
        gone = log.with_suffix(".gone")
        path = gone if gone.exists() else Path(os.fsdecode(name))
        if not path.exists() or path.stat().st_ino != int(log.stem):
            return
        changes = list(_changes(records))
        kept = chance.randrange(len(changes) + 1) if chance else 0
        with path.open("r+b") as file:
            for offset, size, data in reversed(changes[kept:]):
                file.seek(offset)
                file.write(data)
                file.truncate(size)


def _changes(records: bytes) -> list[tuple[int, int, bytes]]:
    """The last one may be cut short by the kill: its write did not happen."""
    found, at = [], 0
    while at + RECORD.size <= len(records):
        offset, size, count = RECORD.unpack_from(records, at)
        at += RECORD.size
        if at + count > len(records):
            break
        found.append((offset, size, records[at : at + count]))
        at += count
    return found
