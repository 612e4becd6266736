"""Pages that keep themselves up to date: without taking the keyboard's place, and saying so when they no longer can."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.daemon import Daemon


def test_the_keyboard_keeps_its_place_while_a_list_changes(page: Page, daemon: Daemon) -> None:
    daemon.send(subject="First")
    page.goto("/emails")
    page.get_by_role("link", name="First").focus()
    daemon.send(subject="Second")
    expect(page.get_by_role("link", name="Second")).to_be_visible()
    expect(page.get_by_role("link", name="First")).to_be_focused()


def test_a_page_says_when_it_is_signed_out_and_leads_to_the_login(page: Page, daemon: Daemon) -> None:
    daemon.send(subject="First")
    page.goto("/emails?q=First")
    other = page.context.new_page()
    other.goto("/sandbox")
    other.get_by_role("button", name="Log out").click()
    other.wait_for_url("**/login")
    expect(page.get_by_text("You are signed out.")).to_be_visible(timeout=20_000)
    page.get_by_role("link", name="Log in again").click()
    expect(page).to_have_url(f"{daemon.url}/login?next=/emails?q%3DFirst")


def test_a_double_click_on_send_is_one_email(page: Page, daemon: Daemon) -> None:
    page.goto("/compose")
    page.get_by_label("To", exact=True).fill("ann@example.com")
    page.get_by_label("Subject").fill("Once")
    page.get_by_label("Text", exact=True).fill("x")
    page.get_by_role("button", name="Send").dblclick()
    page.wait_for_url("**/emails/*")
    assert len(daemon.get("/api/emails")["emails"]) == 1
