"""The frame of all pages: signing in, the menu, the stream that keeps pages up to date, and how they look."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.support.browser import PHONE, opened, sign_in
from tests.support.daemon import Daemon
from tests.support.looks import look_at

PATHS = ("/sandbox", "/sandbox/1", "/users", "/audit")
PASSWORD = "a long enough password"


def test_somebody_is_added_signs_in_and_sees_what_the_role_allows(
    page: Page, browser: Browser, daemon: Daemon
) -> None:
    page.goto("/users")
    expect(page.get_by_text("Nobody signs in by name yet")).to_be_visible()
    page.get_by_label("Name").fill("Ann")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("viewer").check()
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status")).to_have_text("Ann may sign in now.")
    with opened(browser, daemon) as anns:
        anns.goto("/sandbox")
        anns.get_by_label("Name").fill("ann")
        anns.get_by_label("Password").fill(PASSWORD)
        anns.get_by_role("button", name="Log in").click()
        expect(anns).to_have_url(f"{daemon.url}/sandbox")
        expect(anns.get_by_role("link", name="Users")).to_have_count(0)
    page.goto("/audit")
    expect(page.get_by_role("row", name="create user")).to_contain_text("role viewer")
    assert PASSWORD not in page.content()


def test_a_page_shows_what_happens_without_being_loaded_again(page: Page, daemon: Daemon) -> None:
    page.goto("/sandbox")
    page.evaluate("window.untouched = true")
    daemon.send(subject="It travels")
    expect(page.get_by_text("It travels")).to_be_visible()
    assert page.evaluate("window.untouched")


def test_who_finds_all_streams_taken_asks_instead(browser: Browser, daemon: Daemon) -> None:
    """A quarter of eight threads: the third page gets no stream."""
    with (
        opened(browser, daemon) as first,
        opened(browser, daemon) as second,
        opened(browser, daemon) as third,
    ):
        for one in (first, second, third):
            sign_in(one)
            one.goto("/sandbox")
            one.wait_for_load_state()
        daemon.send(subject="For all three")
        for one in (first, second, third):
            expect(one.get_by_text("For all three")).to_be_visible(timeout=20_000)


def test_a_stop_ends_open_streams_at_once(browser: Browser, daemon: Daemon) -> None:
    with opened(browser, daemon) as page:
        sign_in(page)
        with page.expect_response(lambda answer: answer.url.endswith("/live")):
            page.goto("/sandbox")
        page.goto("about:blank")  # what it says of a server that is gone is no fault of the page
        assert daemon.stop() < 8


def test_times_are_shown_in_the_zone_of_whoever_looks(page: Page, daemon: Daemon) -> None:
    daemon.send()
    page.goto("/sandbox")
    time = page.locator("time").first
    expect(time).not_to_contain_text("UTC")
    there = page.evaluate(
        "new Intl.DateTimeFormat(undefined, {dateStyle: 'medium', timeStyle: 'medium'})"
        ".format(new Date(document.querySelector('time').dateTime))"
    )
    expect(time).to_have_attribute("title", there)


def test_on_a_phone_the_menu_opens_and_closes(browser: Browser, daemon: Daemon) -> None:
    with opened(browser, daemon, viewport=PHONE) as page:
        sign_in(page)
        expect(page.get_by_role("link", name="Audit log")).not_to_be_visible()
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("link", name="Audit log").click()
        expect(page).to_have_url(f"{daemon.url}/audit")


def test_pages_are_accessible_and_fit(browser: Browser, daemon: Daemon) -> None:
    with opened(browser, daemon) as page:
        look_at(page, ["/login"])
        sign_in(page)
        daemon.send(
            html_content="<h1>Your order</h1><p>It is on its way.</p>", text_content="It is on its way."
        )
        page.goto("/sandbox")
        expect(page.get_by_text("Hello")).to_be_visible()
        look_at(page, PATHS)
