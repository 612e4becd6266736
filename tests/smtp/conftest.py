from __future__ import annotations

import pytest

from tests.support.ca import TestCA
from tests.support.playhouse import Playhouse


@pytest.fixture
def smtp():
    house = Playhouse()
    yield house
    house.end()


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    return TestCA(tmp_path_factory.mktemp("ca"))
