"""Programs in JavaScript that some tests run. Node itself comes in a wheel; `make test` has installed what
tests/package.json names beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(sys.prefix) / "node"
NODE = Path(sys.prefix) / "bin/node"


def need_package(name: str) -> Path:
    """Its folder. Without it the test is skipped, or fails where CI=true."""
    folder = FOLDER / "node_modules" / name
    if not folder.exists():
        reason = f"{name} is not installed: make node"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


def run_node(*arguments: object, cwd: Path, **environment: str) -> str:
    """What it prints. AssertionError with all of it, when it fails."""
    done = subprocess.run(
        [str(NODE), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "REDOCLY_TELEMETRY": "off", "NO_COLOR": "1", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
