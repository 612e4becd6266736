"""/docs in a real Chromium: readable on a phone and in the dark, and good to try the API with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.daemon import KEY, Daemon
from tests.support.tools import need

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]
CREATE = "#operations-Emails-create_email"
# Text that can hardly be told from what is behind it: WCAG's contrast, under 3.
FAINT = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (one) => { for (; one; one = one.parentElement) {
    const c = rgb(getComputedStyle(one).backgroundColor);
    if (c.length < 4 || c[3] > 0.5) return c; } return [255, 255, 255]; };
  return [...document.querySelectorAll("#docs *")]
    .filter((one) => one.checkVisibility() && !one.closest("svg")
      && [...one.childNodes].some((part) => part.nodeType === 3 && part.data.trim()))
    .filter((one) => { const [a, b] = [light(rgb(getComputedStyle(one).color)), light(behind(one))];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 3; })
    .map((one) => `${one.className} ${one.textContent.slice(0, 40)}`);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = need("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, daemon: Daemon, width: int, scheme: str) -> Iterator[Page]:
    """With the operation that sends an email unfolded. Its console stays empty of errors."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(30_000)
    page, errors = context.new_page(), []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{daemon.url}/docs")
    page.locator(f"{CREATE} .opblock-summary-control").click()
    page.locator(f"{CREATE} .responses-table").first.wait_for()
    try:
        yield page
    finally:
        context.close()
    assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_it_is_readable_and_fits(browser: Browser, daemon: Daemon, width: int, scheme: str) -> None:
    with opened(browser, daemon, width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        background = page.evaluate("getComputedStyle(document.querySelector('.swagger-ui')).backgroundColor")
        assert (background == "rgb(28, 32, 34)") == (scheme == "dark")
        faint = page.evaluate(FAINT)
        assert scheme == "light" or faint == []


def test_the_reader_meets_first_what_comes_first(browser: Browser, daemon: Daemon) -> None:
    with opened(browser, daemon, 1440, "light") as page:
        tags = page.locator(".opblock-tag").evaluate_all("all => all.map((one) => one.dataset.tag)")
        assert (tags[:3], tags[-1]) == (["Emails", "Templates", "SMTP configs"], "Service")
        assert page.locator(".opblock").first.get_attribute("id") == CREATE.removeprefix("#")


def test_an_email_is_sent_from_it(browser: Browser, daemon: Daemon) -> None:
    with opened(browser, daemon, 1440, "light") as page:
        page.locator(".btn.authorize").first.click()
        page.locator(".auth-container input").first.fill(KEY)
        page.locator(".auth-btn-wrapper .authorize").first.click()
        page.locator(".btn-done").first.click()
        with page.expect_response("**/api/emails") as answered:
            page.locator(f"{CREATE} .btn.execute").click()
        assert answered.value.status == 201
        page.locator(f"{CREATE} .live-responses-table").get_by_text("queued successfully").first.wait_for()
        assert KEY not in page.url
