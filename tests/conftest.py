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

# On PostgreSQL these would prove the same once more, for they need no database, or they are about SQLite's file.
SPARED = (
    "tests/unit/", "tests/smtp/", "tests/test_architecture.py", "tests/http/test_bad_bodies.py", "tests/backup/",
    "tests/cli/test_backup.py", "tests/faults/", "tests/e2e/test_restore_drill.py", "tests/e2e/test_benchmarks.py",
    "tests/imap/", "tests/inbox/test_safe_html.py", "tests/reports/test_real_servers.py",
    "tests/reports/test_corpora.py", "tests/sync/test_awkward.py", "tests/sync/test_pymap.py",
    "tests/sync/test_kill.py", "tests/sync/test_idler.py", "tests/sync/test_differential.py",
    "tests/composing/test_killed.py", "tests/composing/test_doc.py", "tests/composing/test_seeds.py",
    "tests/composing/test_uploads.py", "tests/composing/test_replies.py", "tests/accounts/test_seeds.py",
    "tests/http/test_shares.py", "tests/http/test_schemathesis.py", "tests/inbox/test_threads.py",
    "tests/cli/test_main.py", "tests/cli/test_welcome.py", "tests/browser/", "tests/openapi/", "tests/docs/",
)  # fmt: skip


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests wait for their servers more than they compute."""
    return (os.cpu_count() or 1) + 1


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long form of the fault cases too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        left_out = [one for one in items if one.get_closest_marker("long")]
        items[:] = [one for one in items if one not in left_out]
        config.hook.pytest_deselected(items=left_out)
    if database.POSTGRESQL:
        spared = [one for one in items if one.nodeid.startswith(SPARED)]
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
