"""The description of the API against the API itself: nothing undocumented, no accident, whatever is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from apiflask import APIFlask

from services.principal import Scope
from tests.http.exploring import OF_A_USER, explore
from tests.support.app import MASTER_KEY, new_key


@pytest.mark.parametrize(("who", "examples"), [("service", 15), ("tenant", 5)])
def test_the_api_keeps_to_its_description(app: APIFlask, tmp_path: Path, who: str, examples: int) -> None:
    """No mail is delivered here: hosts and addresses are made up."""
    key = MASTER_KEY if who == "service" else new_key("tenant-a", Scope.ADMIN)
    others = [part for tag in OF_A_USER for part in ("--exclude-tag", tag)]  # see test_schemathesis_user.py
    explore(app, tmp_path, key, examples, *others)
