"""The overview, over a relay that works: live numbers, charts, and what to do when something is wrong."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.daemon import Daemon, free_port
from tests.support.looks import look_at


def test_it_counts_what_is_sent_while_one_looks(page: Page, daemon: Daemon) -> None:
    page.goto("/overview?span=hour")
    page.evaluate("window.untouched = true")
    for number in range(3):
        daemon.send(subject=f"Number {number}")
    expect(page.get_by_role("img", name="Throughput: 3 accepted, 3 sent")).to_be_visible(timeout=15_000)
    expect(page.locator(".states li", has_text="sent").locator(".numbers")).to_have_text("3")
    assert page.evaluate("window.untouched")
    page.get_by_role("link", name="last week").click()
    expect(page.get_by_role("img", name="Outcome: 3 sent")).to_be_visible()


def test_a_pause_is_said_and_lifted(page: Page, daemon: Daemon) -> None:
    daemon.send()  # an empty one leads to the welcome page
    page.goto("/overview")
    page.get_by_role("button", name="Pause delivery").click()
    expect(page.get_by_text("The relay is paused")).to_be_visible()
    assert daemon.get("/api/queue")["paused"] is True
    page.get_by_role("button", name="Resume delivery").click()
    expect(page.get_by_text("The relay is paused")).not_to_be_visible()
    assert daemon.get("/api/queue")["paused"] is False


def test_a_config_that_does_not_work_is_an_alert_that_says_what_to_do(page: Page, daemon: Daemon) -> None:
    config = daemon.add_config(free_port(), name="Dead", hourly_limit=100, daily_limit=1000)
    email = daemon.send(subject="Waits", smtp_config_id=config)
    page.goto("/overview")
    alert = page.locator("#alerts .alert", has_text="Dead is held until")
    expect(alert).to_be_visible(timeout=15_000)
    expect(alert.get_by_role("link")).to_have_attribute("href", f"/smtp-configs/{config}")
    expect(page.locator(".oldest")).to_contain_text("Dead does not work")
    expect(page.locator(".oldest").get_by_role("link")).to_have_attribute("href", f"/emails/{email}")
    look_at(page, ["/overview", "/overview?span=day"])
