from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.relay import Relay
from tests.support.relay import relay_in
from tests.support.sink import Sink


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    with relay_in(tmp_path) as made:
        yield made


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as server:
        yield server
