"""Advisory locks between processes (flock(2)): the kernel drops them when the holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType


class FileLock:
    """A lock file. `with lock:` blocks until it is held; `try_acquire()` does not wait."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def try_acquire(self) -> bool:
        return self._acquire(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def acquire(self) -> None:
        self._acquire(fcntl.LOCK_EX)

    def release(self) -> None:
        if self._fd is not None:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            os.close(self._fd)
            self._fd = None

    def note(self, text: str) -> None:
        """Write who holds the lock, for the one who is refused."""
        assert self._fd is not None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, text.encode(), 0)

    def _acquire(self, how: int) -> bool:
        if self._fd is None:
            self._fd = _open(self.path)
        try:
            fcntl.flock(self._fd, how)
        except BlockingIOError:
            os.close(self._fd)
            self._fd = None
            return False
        return True

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(self, *exc: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.release()


class SharedFileLock:
    """The same lock on a descriptor that stays open: for a lock taken thousands of times a second."""

    def __init__(self, path: Path) -> None:
        self._fd = _open(path)

    def acquire(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def release(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._fd)


def _open(path: Path) -> int:
    """What root makes belongs to the folder's owner, or a service that runs as that one could not take the lock."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(fd, owner.st_uid, owner.st_gid)
    return fd


def is_locked(path: Path) -> bool:
    """Whether someone holds the lock. Nobody holds a file that is not there, and none is made."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(
            fd, fcntl.LOCK_SH | fcntl.LOCK_NB
        )  # shared: two who ask at once must not mistake each other
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def holder_of(path: Path) -> str:
    """What the holder wrote with `note`, or an empty string."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
