from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import models
from tests.support import database as databases
from tests.support.dovecot import PROFILES, Dovecot, shared
from tests.support.syncing import Mailbox


@pytest.fixture(autouse=True)
def _database(tmp_path: Path) -> Iterator[None]:
    models.initialize_db(databases.location(tmp_path))
    yield
    databases.close()


@pytest.fixture(params=PROFILES)
def server(request: pytest.FixtureRequest) -> Dovecot:
    return shared(request.param)


@pytest.fixture
def mailbox(server: Dovecot) -> Mailbox:
    return Mailbox(server)


@pytest.fixture
def mailbox_on() -> Callable[[str], Mailbox]:
    return lambda profile: Mailbox(shared(profile))
