"""That the statements which run over and over have their indexes, on PostgreSQL: with few rows it would read tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from models.database import database, rows
from services import expire, promote
from services.relay import Relay
from services.search import Filters, query
from tests.support.database import postgresql_only
from tests.support.relay import add_config, relay_in, submit

pytestmark = postgresql_only


@pytest.fixture(autouse=True)
def _relay(tmp_path) -> Iterator[Relay]:
    with relay_in(tmp_path) as relay:
        add_config()
        submit(relay)
        rows("SET enable_seqscan = off")
        yield relay
        database.close()


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (f"SELECT min(available_at) FROM {promote._DUE}", "emails_due"),
        (
            f"SELECT id FROM {expire._EXPIRED.replace('?', '5')} ORDER BY expires_at LIMIT 5",
            "emails_expiring",
        ),
        (
            "SELECT id FROM emails WHERE state = 'queued' AND lane_id = 1 ORDER BY sort_at, id LIMIT 9"
            " /*pg FOR UPDATE SKIP LOCKED*/",
            "emails_queued",
        ),
        ("SELECT id FROM emails WHERE state = 'sending' AND instance_id = 1", "emails_claimed"),
        ("SELECT id FROM emails WHERE lease = 5", "emails_leased"),
        (
            "SELECT id FROM emails WHERE finished_at IS NOT NULL AND has_content AND finished_at < 5"
            " ORDER BY finished_at LIMIT 5",
            "emails_full",
        ),
        (
            "SELECT id FROM emails WHERE finished_at IS NOT NULL AND NOT has_content AND finished_at < 5"
            " ORDER BY finished_at LIMIT 5",
            "emails_purged",
        ),
    ],
)
def test_a_statement_has_its_index(sql: str, index: str) -> None:
    plan = str(rows(f"EXPLAIN {sql}"))
    assert f"using {index}" in plan and "Sort" not in plan, plan


def test_an_address_is_found_by_its_index() -> None:
    sql, params = query(None, Filters(recipient="Ann@Example.com"), 1_000)
    assert "recipients_address" in str(rows(f"EXPLAIN {sql}", *params))
