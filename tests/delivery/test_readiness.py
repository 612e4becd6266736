"""Whether a config may go is asked in Python and in SQL: both must say the same."""

from __future__ import annotations

from itertools import product

from models.database import row, run, write
from models.smtp_config import Health, SmtpConfig
from services import readiness
from services.relay import Relay
from tests.support.relay import add_config

NOW = 1_800_000_000_000
TIMES = (None, NOW - 1, NOW, NOW + 1)


def test_the_condition_in_sql_is_the_decision_in_python(relay: Relay) -> None:
    config = add_config()
    query = (
        "SELECT 1 FROM smtp_configs c JOIN health h ON h.smtp_config_id = c.id"
        f" WHERE c.id = ? AND {readiness.UNHELD}"
    )
    for active, paused, until, opened, probe in product(
        (True, False), (True, False), TIMES, TIMES, (None, 7)
    ):

        def change(
            values: tuple[object, ...] = (paused, until, opened, probe), active: bool = active
        ) -> None:
            run("UPDATE smtp_configs SET active = ?", active)
            run("UPDATE health SET paused = ?, pause_until = ?, open_until = ?, probe_instance = ?", *values)

        write(change)
        held = readiness.standing_hold(SmtpConfig.get_by_id(config), Health.get_by_id(config), NOW)
        assert (row(query, config, NOW, NOW) is None) == (held is not None), (
            active,
            paused,
            until,
            opened,
            probe,
        )
