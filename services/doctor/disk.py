"""The data folder: whether it can be written, by whom it can be read, how much room it has, and how fast it is."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from services.doctor.check import Check, fail, ok, warn
from services.relay import Policy
from utils.clock import SECOND, monotonic
from utils.machine import free_bytes

_MB = 1_000_000
_SYNCS = 20
_SLOW_SYNC_MS = 20
_CLOCK_SLACK_MS = 5 * SECOND
_MOUNTS = Path("/proc/mounts")
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "ceph", "glusterfs", "9p", "afs")


def check(policy: Policy, folder: Path, now: int) -> Iterator[Check]:
    nearest = _nearest(folder)
    for one in check_data_folder(folder):
        yield one
        if one.state == "fail":
            return
    yield _file_system(nearest)
    yield _room(nearest, policy.min_free_bytes)
    with tempfile.NamedTemporaryFile(dir=nearest, prefix=".doctor-") as probe:
        yield _sync_time(probe.fileno())
        yield _clock(probe.fileno(), now)


def check_data_folder(folder: Path) -> Iterator[Check]:
    nearest = _nearest(folder)
    if not os.access(nearest, os.W_OK | os.X_OK):
        yield fail(
            "data folder", f"{nearest} cannot be written", f"chown or chmod {nearest}, or change DATA_DIR"
        )
    elif nearest != folder:
        yield ok("data folder", f"{folder} will be made at the first start")
    else:
        yield _permissions(folder)


def _nearest(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.exists())


def _permissions(folder: Path) -> Check:
    if folder.stat().st_mode & 0o077:
        return warn("data folder", f"{folder} is open to other users, and holds mail", f"chmod 700 {folder}")
    return ok("data folder", f"{folder}, open to its owner only")


def _file_system(folder: Path) -> Check:
    kind = _kind_of(folder)
    if kind in _NETWORK:
        detail = f"{folder} is on {kind}: SQLite's write-ahead log is not safe on a network file system"
        return fail("file system", detail, "set DATA_DIR to a folder on a local disk")
    return ok("file system", kind or "unknown")


def _kind_of(folder: Path) -> str:
    """The type of the mount that holds it, where the kernel tells."""
    if not _MOUNTS.exists():
        return ""
    mounts = [line.split(" ")[1:3] for line in _MOUNTS.read_text().splitlines()]
    around = [(place, kind) for place, kind in mounts if folder.is_relative_to(place.replace("\\040", " "))]
    return max(around, key=lambda one: len(one[0]))[1] if around else ""


def _room(folder: Path, needed: int) -> Check:
    free = free_bytes(folder)
    detail = f"{free // _MB} MB free; below {needed // _MB} MB mail is refused"
    if free < needed:
        return fail("disk space", detail, "free some space, or lower RETENTION_DAYS and BODY_RETENTION_DAYS")
    if free < 2 * needed:
        return warn("disk space", detail, "make room soon")
    return ok("disk space", detail)


def _sync_time(handle: int) -> Check:
    """What each accepted email, or group of them, waits for."""
    sync = getattr(os, "fdatasync", os.fsync)
    times = []
    for number in range(_SYNCS):
        os.pwrite(handle, b"x" * 4096, number * 4096)
        begun = monotonic()
        sync(handle)
        times.append((monotonic() - begun) * 1000)
    median = statistics.median(times)
    detail = f"{median:.1f} ms median, {max(times):.1f} ms worst of {_SYNCS}"
    if median > _SLOW_SYNC_MS:
        return warn("fsync", detail, "every accepted email waits for one: put DATA_DIR on a faster disk")
    return ok("fsync", detail)


def _clock(handle: int, now: int) -> Check:
    """`now` was read before the probe was made, so a file much older or much newer shows two clocks."""
    apart = os.fstat(handle).st_mtime_ns // 1_000_000 - now
    if not -_CLOCK_SLACK_MS <= apart <= 12 * _CLOCK_SLACK_MS:
        detail = f"the file system's time is {apart / 1000:+.0f} s off this machine's"
        return warn("clock", detail, "let NTP set the clock: limits, schedules and tokens depend on it")
    return ok("clock", "agrees with the file system's")
