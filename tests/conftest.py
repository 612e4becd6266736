"""Fault cases tell their sums at the end of a run, also from the processes of pytest-xdist.

Tests marked `long` are left out unless asked for with --long, as `make soak` does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import database
from tests.support.chaos import Sums

SUMS = "sums"
LONG = "MAILFERRY_TEST_LONG"  # set where --long is given, for what is decided before a test runs

# What is run a second time on PostgreSQL: where statements, locks or plans differ, and what several daemons share. All
# else would prove the same once more.
ON_BOTH = (
    "tests/storage/", "tests/queue/", "tests/accounts/test_credentials.py", "tests/accounts/test_oauth.py",
    "tests/cli/test_doctor.py", "tests/cli/test_keys.py", "tests/cli/test_postgresql.py", "tests/cli/test_tail.py",
    "tests/composing/test_drafts.py", "tests/composing/test_sent_copies.py", "tests/delivery/test_accepting.py",
    "tests/delivery/test_claims.py", "tests/delivery/test_delivered.py", "tests/delivery/test_failover.py",
    "tests/delivery/test_readiness.py", "tests/delivery/test_routing.py", "tests/delivery/test_suppressed.py",
    "tests/e2e/test_lifecycle.py", "tests/e2e/test_metrics.py", "tests/e2e/test_several_daemons.py",
    "tests/http/test_batch.py", "tests/http/test_idempotency.py", "tests/http/test_isolation.py",
    "tests/http/test_keys.py", "tests/http/test_pages.py", "tests/http/test_smtp_configs.py",
    "tests/http/test_suppressions.py", "tests/http/test_users.py", "tests/inbox/test_changes.py",
    "tests/inbox/test_detail.py", "tests/inbox/test_folders.py", "tests/inbox/test_listing.py",
    "tests/inbox/test_plans.py", "tests/inbox/test_search.py", "tests/reports/test_filter.py",
    "tests/reports/test_looking.py", "tests/sync/test_gmail.py", "tests/sync/test_http.py",
    "tests/sync/test_passes.py", "tests/sync/test_races.py", "tests/templates/test_sending.py",
    "tests/templates/test_storing.py", "tests/workers/test_daemons.py", "tests/workers/test_instance.py",
    "tests/workers/test_jobs.py", "tests/workers/test_shared_database.py", "tests/workers/test_worker.py",
)  # fmt: skip


def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: tests wait for their servers more than they compute."""
    return (os.cpu_count() or 1) + 3


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long form of the fault cases too")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--long"):
        os.environ[LONG] = "yes"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        left_out = [one for one in items if one.get_closest_marker("long")]
        items[:] = [one for one in items if one not in left_out]
        config.hook.pytest_deselected(items=left_out)
    if database.POSTGRESQL:
        spared = [one for one in items if not one.nodeid.startswith(ON_BOTH)]
        items[:] = [one for one in items if one not in set(spared)]
        config.hook.pytest_deselected(items=spared)


@pytest.fixture(autouse=True)
def _databases() -> Iterator[None]:
    """What a test has made on the PostgreSQL server goes with it."""
    yield
    database.drop_all()


@pytest.fixture
def tell(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[[Sums], None]:
    """Print the sums of this case, then check them."""

    def told(sums: Sums, **options: Any) -> None:
        line = sums.line(request.node.name.removeprefix("test_"))
        record_property(SUMS, line)
        print(line)
        sums.check(**options)

    return told


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [one for outcome in ("passed", "failed") for one in terminalreporter.stats.get(outcome, ())]
    lines = sorted(str(line) for one in reports for name, line in one.user_properties if name == SUMS)
    if lines:
        terminalreporter.section("sums of the fault cases")
        for line in lines:
            terminalreporter.write_line(line)
