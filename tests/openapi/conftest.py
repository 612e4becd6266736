from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.openapi.played import Play, play
from tests.support.daemon import Daemon, free_port
from tests.support.dovecot import shared

SETTINGS = {"sandbox": "on", "allow_private_hosts": "on"}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """With its sandbox, as a first start makes it."""
    folder = tmp_path_factory.mktemp("daemon")
    with Daemon(folder, sandbox_smtp_port=free_port(), **SETTINGS) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def described(daemon: Daemon) -> dict[str, Any]:
    found: dict[str, Any] = daemon.get("/openapi.json")
    return found


@pytest.fixture(scope="module")
def played(daemon: Daemon, described: dict[str, Any]) -> Play:
    return play(daemon, shared(), described)
