"""SMTP configs in the browser: added, tried step by step, changed, paused, deleted."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.support.daemon import Daemon, free_port
from tests.support.looks import look_at
from tests.support.sink import Sink


def fill(page: Page, **fields: str) -> None:
    for label, value in fields.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(value)


def test_one_is_added_tried_and_sends(page: Page, daemon: Daemon) -> None:
    with Sink() as sink:
        page.goto("/smtp-configs")
        page.get_by_role("link", name="Add one").click()
        fill(
            page, Name="My relay", Sends_as="relay@sender.test", SMTP_server="127.0.0.1", Port=str(sink.port)
        )
        fill(page, Limit_an_hour="100")
        page.get_by_label("STARTTLS").uncheck()
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_role("heading", name="My relay")).to_be_visible()
        page.get_by_label("Send a test email as well, to").fill("ann@example.com")
        page.get_by_role("button", name="Test").click()
        expect(
            page.get_by_text("It works, and a test email is on its way to ann@example.com")
        ).to_be_visible()
        assert [one.rcpt_tos for one in sink.messages] == [["ann@example.com"]]
        page.get_by_role("link", name="← My relay").click()
        expect(page.get_by_text("1 of 100 messages")).to_be_visible()


def test_a_test_that_fails_says_at_which_step(page: Page, daemon: Daemon) -> None:
    config = daemon.add_config(free_port(), name="Dead")
    page.goto(f"/smtp-configs/{config}")
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_role("alert")).to_have_text("It does not work: the last step says why.")
    expect(page.locator(".mark-failed")).to_contain_text("connect")


def test_what_is_wrong_is_said_beside_the_field_and_nothing_filled_in_is_lost(
    page: Page, daemon: Daemon
) -> None:
    page.goto("/smtp-configs/new?provider=fastmail")
    expect(page.get_by_label("SMTP server")).to_have_value("smtp.fastmail.com")
    fill(page, Name="Sandbox", Sends_as="me@fastmail.example", Username="me", Password="planted-password")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_contain_text("another SMTP config has this name")
    expect(page.get_by_label("Username")).to_have_value("me")
    assert "planted-password" not in page.content()
    fill(page, Name="Mine")
    page.get_by_label("Sends as").fill("no address")
    page.evaluate("document.querySelector('form.form-card').noValidate = true")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".invalid-feedback").first).to_be_visible()
    page.get_by_label("Sends as").fill("me@fastmail.example")
    fill(page, Password="planted-password")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("me, with a stored password")).to_be_visible()


def test_changing_leaves_the_password_and_says_when_it_had_to_go(page: Page, daemon: Daemon) -> None:
    config = daemon.add_config(587, name="Mail", username="u", password="planted-password", use_tls=True)
    page.goto(f"/smtp-configs/{config}/edit")
    fill(page, Limit_in_24_hours="500", Display_name="Shop")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    expect(page.get_by_text("of 500 messages")).to_be_visible()
    assert daemon.get(f"/api/smtp-configs/{config}")["has_password"] is True
    page.get_by_role("link", name="Edit").click()
    fill(page, SMTP_server="elsewhere.example")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Its password was cleared")
    page.goto("/audit")
    expect(page.get_by_role("row", name=re.compile("update smtp config")).first).to_contain_text(
        "elsewhere.example"
    )


def test_it_is_paused_resumed_and_deleted(page: Page, daemon: Daemon) -> None:
    config = daemon.add_config(free_port(), name="Spare")
    page.goto(f"/smtp-configs/{config}")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".verdict .state")).to_have_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".verdict .state")).to_have_text("active")
    look_at(
        page,
        [
            "/smtp-configs",
            "/smtp-configs/new?provider=gmail",
            f"/smtp-configs/{config}",
            f"/smtp-configs/{config}/edit",
        ],
    )
    page.goto(f"/smtp-configs/{config}")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_have_text("Spare is deleted.")
