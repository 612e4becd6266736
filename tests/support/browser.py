"""A real Chromium, and a page of it that watches itself: errors in its console fail the test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.support.daemon import KEY, Daemon
from tests.support.tools import need

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
expect.set_options(timeout=20_000)  # a busy machine takes its time
_ARGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=need("chromium"), args=_ARGS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, daemon: Daemon, **options: Any) -> Iterator[Page]:
    """A page in a context of its own, not signed in. Its console has no error in the end."""
    context = browser.new_context(
        base_url=daemon.url,
        **{"viewport": DESKTOP, "timezone_id": "Asia/Tokyo", "reduced_motion": "reduce"} | options,
    )
    context.set_default_timeout(15_000)
    page, errors = context.new_page(), []
    page.on("console", lambda message: errors.append(_told(message)) if _is_ours(message) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: dialog.accept())
    try:
        yield page
    finally:
        context.close()
    assert errors == []


def sign_in(page: Page, key: str = KEY) -> None:
    page.goto("/login?by=key")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Log out").wait_for()


def check_accessible(page: Page) -> None:
    """By the rules of WCAG 2.2 AA, as far as axe-core can judge."""
    page.evaluate(AXE.read_text())
    found = page.evaluate(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
    )["violations"]
    told = [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found
        for node in one["nodes"]
    ]
    assert not told, "\n".join(told)


def check_no_overflow(page: Page) -> None:
    """Nothing is wider than the screen, but for boxes that scroll by themselves."""
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0, f"the page is {width} px too wide"


def _is_ours(message: ConsoleMessage) -> bool:
    """Not what the browser says when it keeps a mail's html from running scripts and loading images in its cage, nor
    that a form was refused."""
    caged = message.location.get("url", "").endswith("/html")
    refused = re.search(r"responded with a status of (400|409)", message.text)
    return message.type == "error" and not caged and not refused


def _told(message: ConsoleMessage) -> str:
    return f"{message.text} at {message.location.get('url', '')}"
