"""Three daemons on one PostgreSQL. The long form: `python -m tests.support.fleet --emails 20000`."""

from __future__ import annotations

from pathlib import Path

from tests.support import database as databases
from tests.support import fleet

pytestmark = databases.postgresql_only


def test_one_killed_one_stopped_and_one_cut_off_lose_nothing_and_overspend_nothing(tmp_path: Path) -> None:
    fleet.run(tmp_path, str(databases.location(tmp_path)), emails=800).check()
