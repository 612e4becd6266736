from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import models
from services.relay import Policy
from tests.support import database as databases
from workers.sandbox_server import SandboxServer


@pytest.fixture
def policy(tmp_path: Path) -> Iterator[Policy]:
    """Of a daemon with a database of its own."""
    models.initialize_db(databases.location(tmp_path))
    yield Policy(
        data_dir=tmp_path,
        max_retries=3,
        max_age=3_600_000,
        priority_step=0,
        message_id_domain="relay.test",
        max_message_bytes=1_000_000,
        min_free_bytes=0,
        body_retention=0,
        retention=0,
        allow_private_hosts=True,
        sandbox_port=1025,
        helo="relay.test",
    )
    databases.close()


@pytest.fixture
def server(policy: Policy) -> Iterator[SandboxServer]:
    server = SandboxServer(policy, port=0)
    server.start()
    yield server
    server.stop()
