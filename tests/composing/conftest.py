from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask

from tests.composing.making import account
from tests.support.app import Caller, new_key, running_app


@pytest.fixture
def app(tmp_path: Path) -> Iterator[APIFlask]:
    """Servers of these accounts are on this machine."""
    with running_app(tmp_path, ALLOW_PRIVATE_HOSTS="on") as app:
        yield app


@pytest.fixture
def ann(app: APIFlask) -> Caller:
    return user(app, "acme", "ann")


@pytest.fixture
def bob(app: APIFlask) -> Caller:
    """Another user of the same tenant."""
    return user(app, "acme", "bob")


@pytest.fixture
def eve(app: APIFlask) -> Caller:
    """A user of the same name, of another tenant."""
    return user(app, "other", "ann")


@pytest.fixture
def work(ann: Caller) -> str:
    """The id of an account of Ann's."""
    return account(ann)


def user(app: APIFlask, tenant: str, name: str) -> Caller:
    """By the key of the service, whose calls are not limited."""
    return Caller(app.test_client(), {"X-API-Key": new_key(), "X-Tenant-ID": tenant, "X-User-ID": name})
