from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask

from tests.support.app import Caller, caller, new_key, running_app


@pytest.fixture
def app(tmp_path: Path) -> Iterator[APIFlask]:
    """Accounts may be on this machine: their servers are in these tests."""
    with running_app(tmp_path, ALLOW_PRIVATE_HOSTS="on") as app:
        yield app


@pytest.fixture
def ann(app: APIFlask) -> Caller:
    return user(app, "acme", "ann")


@pytest.fixture
def bob(app: APIFlask) -> Caller:
    """Another user of the same tenant."""
    return user(app, "acme", "bob")


def user(app: APIFlask, tenant: str, name: str) -> Caller:
    """Acting by the key of the service: its calls are not limited, so tests may make many."""
    return Caller(app.test_client(), {"X-API-Key": new_key(), "X-Tenant-ID": tenant, "X-User-ID": name})


@pytest.fixture
def admin(app: APIFlask) -> Caller:
    """Of the tenant, for no user in particular."""
    return caller(app, new_key("acme"))
