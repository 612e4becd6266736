from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import chromium, opened, sign_in
from tests.support.daemon import Daemon, free_port


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """With the sandbox, so that mail really travels and can be read."""
    with Daemon(tmp_path, sandbox="on", sandbox_smtp_port=free_port(), web_threads=8) as running:
        yield running


@pytest.fixture
def page(browser: Browser, daemon: Daemon) -> Iterator[Page]:
    """Signed in by the master key."""
    with opened(browser, daemon) as found:
        sign_in(found)
        yield found
