"""Programs from outside Python that some tests start."""

from __future__ import annotations

import os
import shutil

import pytest


def need(tool: str, package: str = "") -> str:
    """Its path. Without it the test is skipped, or fails where CI=true: there nothing may go untested unnoticed."""
    path = shutil.which(tool) or shutil.which(tool, path="/usr/sbin")  # not in an ordinary user's PATH
    if path is None:
        reason = f"{tool} is not installed: apt-get install {package or tool}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path
