from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.relay import Relay
from tests.support.relay import relay_in


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    """Over a database of its own in data/; nothing delivers."""
    folder = tmp_path / "data"
    folder.mkdir()
    with relay_in(folder) as made:
        yield made


@pytest.fixture
def place(relay: Relay) -> Path:
    """The database's file."""
    return relay.policy.data_dir / "mailferry.db"


@pytest.fixture
def woken(relay: Relay) -> list[bool]:
    """Grows whenever the workers are woken."""
    calls: list[bool] = []
    relay.wake = lambda: calls.append(True)
    return calls
