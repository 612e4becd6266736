"""The description of the API against the API itself: nothing undocumented, no accident, whatever is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from apiflask import APIFlask

from services.principal import Scope
from tests.http.exploring import OF_A_USER, explore
from tests.support.app import MASTER_KEY, new_key


@pytest.mark.parametrize("who", ["service", "tenant"])
def test_the_api_keeps_to_its_description(app: APIFlask, tmp_path: Path, who: str) -> None:
    """No mail is delivered here: hosts and addresses are made up."""
    others = [part for tag in OF_A_USER for part in ("--exclude-tag", tag)]  # see test_schemathesis_user.py
    if who == "service":
        explore(app, tmp_path, MASTER_KEY, 10, *others)
    else:  # the same code, but for what is refused
        explore(app, tmp_path, new_key("tenant-a", Scope.ADMIN), 8, *others, "--phases", "examples,fuzzing")
