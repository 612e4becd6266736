from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.relay import Relay
from tests.reports.letters import account
from tests.support.relay import add_config, relay_in


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    with relay_in(tmp_path) as relay:
        add_config()
        account()
        yield relay
