from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask

from tests.support.app import MASTER_KEY, Caller, caller, running_app, tenant_caller


@pytest.fixture
def app(tmp_path: Path) -> Iterator[APIFlask]:
    with running_app(tmp_path) as app:
        yield app


@pytest.fixture
def service(app: APIFlask) -> Caller:
    return caller(app, MASTER_KEY)


@pytest.fixture
def tenant_a(app: APIFlask) -> Caller:
    return tenant_caller(app, "tenant-a")
