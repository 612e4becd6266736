"""Other people's mail, from the source packages of projects that test with it. Fetched when it is first needed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

PACKAGES = {"flufl.bounce==6.0.0": "*/tests/data/*", "mail-parser==4.8.0": "*/tests/mails/*"}


def _member(name: str, folder: Path) -> list[tuple[str, bytes]]:
    found = []
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        for one in archive.getmembers():
            if one.isfile() and Path(one.name).match(PACKAGES[name]) and not one.name.endswith(".py"):
                data = archive.extractfile(one)
                assert data is not None
                found.append((f"{name}/{Path(one.name).name}", data.read()))
    return sorted(found)


def fetched(name: str, cache: Path) -> list[tuple[str, bytes]]:
    """Name and bytes of each mail. Skips where the package cannot be had, fails so where CI=true."""
    folder = cache / name.replace("=", "-")
    if not list(folder.glob("*.tar.gz")):
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--no-binary", ":all:", "--no-build-isolation", "--dest", str(folder), name,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and not list(folder.glob("*.tar.gz")):
            command.remove("--no-build-isolation")
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not list(folder.glob("*.tar.gz")):
            reason = f"{name} cannot be fetched: {done.stderr[-300:]}"
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return _member(name, folder)


def of_python() -> list[tuple[str, bytes]]:
    """CPython's own; not every system installs them."""
    test_email = pytest.importorskip("test.test_email", reason="this Python came without its tests")
    folder = Path(test_email.__file__).parent / "data"
    return [(f"cpython/{one.name}", one.read_bytes()) for one in sorted(folder.glob("*.txt"))]
