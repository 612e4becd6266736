from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from tests.http.test_pages import log_in
from tests.support.app import MASTER_KEY, Caller, caller, running_app


@pytest.fixture
def app(tmp_path: Path) -> Iterator[APIFlask]:
    with running_app(tmp_path) as app:
        yield app


@pytest.fixture
def service(app: APIFlask) -> Caller:
    return caller(app, MASTER_KEY)


@pytest.fixture
def client(app: APIFlask) -> FlaskClient:
    """Signed in by the master key."""
    client = app.test_client()
    log_in(client)
    return client
