from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask

from tests.support.app import Caller, new_key, running_app
from tests.support.letters import TENANT, USER, add_account, add_folder
from tests.sync.test_http import polling
from workers.poller import Poller


@pytest.fixture
def app(tmp_path: Path) -> Iterator[APIFlask]:
    """Accounts may be on this machine: their servers are in these tests."""
    with running_app(tmp_path, ALLOW_PRIVATE_HOSTS="on") as app:
        yield app


def user_of(app: APIFlask, tenant: str, name: str) -> Caller:
    """Acting by a key of the service: its calls are not limited, so tests may make many."""
    return Caller(app.test_client(), {"X-API-Key": new_key(), "X-Tenant-ID": tenant, "X-User-ID": name})


@pytest.fixture
def ann(app: APIFlask) -> Caller:
    return user_of(app, TENANT, USER)


@pytest.fixture
def account(app: APIFlask) -> str:
    """Ann's."""
    return add_account()


@pytest.fixture
def inbox(account: str) -> int:
    return add_folder(account)


@pytest.fixture
def poller(app: APIFlask) -> Iterator[Poller]:
    """Syncs Ann's accounts that are on a real server."""
    with polling(app) as poller:
        yield poller
