"""A first run, as somebody new lives it: sign in, add a config, send a test, watch it go, read it in the sandbox."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.browser import sign_in
from tests.support.daemon import Daemon
from tests.support.looks import look_at
from tests.support.sink import Sink


def test_from_the_welcome_to_a_sent_email(page: Page, daemon: Daemon) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="Welcome to Mailferry")).to_be_visible()
    look_at(page, ["/welcome"])
    page.goto("/welcome")
    page.get_by_role("link", name="Write a test email").click()
    page.get_by_label("To", exact=True).fill("ann@example.com")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_contain_text("Accepted")
    expect(page.locator(".verdict .state")).to_have_text("sent", timeout=20_000)
    page.get_by_role("link", name="Sandbox", exact=True).click()
    page.get_by_text("Hello from Mailferry").click()
    expect(page.locator("[data-part=text]")).to_contain_text("It works.")
    with Sink() as sink:
        page.goto("/welcome")
        page.get_by_role("link", name="Add an account").click()
        for label, value in (
            ("Name", "Mine"),
            ("Sends as", "me@sender.test"),
            ("SMTP server", "127.0.0.1"),
            ("Port", str(sink.port)),
        ):
            page.get_by_label(label, exact=True).fill(value)
        page.get_by_label("STARTTLS").uncheck()
        page.get_by_role("button", name="Add").click()
        page.goto("/welcome")
        expect(page.locator(".steps .done")).to_have_count(2)
        page.goto("/compose")
        page.get_by_label("To", exact=True).fill('"Doe, Jo" <jo@example.com>, sam@example.com')
        page.get_by_label("Subject").fill("With a file")
        page.get_by_text("HTML, files, when and how").click()
        page.get_by_label("HTML").fill("<p>Hello <b>Jo</b></p>")
        page.get_by_label("Files").set_input_files(
            {"name": "a.txt", "mimeType": "text/plain", "buffer": b"content"}
        )
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".verdict .state")).to_have_text("sent", timeout=20_000)
        (message,) = sink.messages
        assert message.rcpt_tos == ["jo@example.com", "sam@example.com"]
        assert b"Hello Jo" in message.data and b"a.txt" in message.data


def test_what_is_wrong_is_said_and_what_was_written_stays(page: Page, daemon: Daemon) -> None:
    page.goto("/compose")
    page.get_by_label("To", exact=True).fill("nobody")
    page.get_by_label("Text").fill("A long letter")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".invalid-feedback").first).to_be_visible()
    expect(page.get_by_label("Text")).to_have_value("A long letter")
    look_at(page, ["/compose"])


def test_without_javascript_it_all_works(page: Page, daemon: Daemon) -> None:
    context = page.context.browser.new_context(base_url=daemon.url, java_script_enabled=False)  # type: ignore[union-attr]
    plain = context.new_page()
    sign_in(plain)
    plain.goto("/compose")
    plain.get_by_label("To", exact=True).fill("ann@example.com")
    plain.get_by_label("Text").fill("No script was run")
    plain.get_by_role("button", name="Send").click()
    expect(plain.get_by_role("status")).to_contain_text("Accepted")
    plain.goto("/emails")
    expect(plain.get_by_role("link", name="(no subject)")).to_be_visible()
    context.close()
