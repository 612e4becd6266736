"""What admins look after: keys, suppressions, settings."""

from __future__ import annotations

import requests
from playwright.sync_api import Page, expect

from tests.support.daemon import KEY, Daemon
from tests.support.looks import look_at


def test_a_key_is_shown_once_works_and_is_revoked(page: Page, daemon: Daemon) -> None:
    page.goto("/keys")
    expect(page.get_by_text("No key has been made yet")).to_be_visible()
    page.get_by_label("Name").fill("shop")
    page.get_by_label("Tenant", exact=True).fill("shop")
    page.get_by_role("button", name="Make").click()
    secret = page.locator("#secret").inner_text()
    body = {"subject": "Hi", "recipients": ["ann@example.com"], "text_content": "x"}

    def send() -> int:
        return requests.post(f"{daemon.url}/api/emails", json=body, headers={"X-API-Key": secret}).status_code

    assert send() != 401
    page.goto("/keys")
    assert secret not in page.content()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("revoked", exact=False).last).to_be_visible()
    assert send() == 401
    page.get_by_label("Name").fill("bad")
    page.get_by_label("Tenant", exact=True).fill("a b")
    page.get_by_role("button", name="Make").click()
    expect(page.locator(".invalid-feedback")).to_be_visible()
    look_at(page, ["/keys"])


def test_addresses_are_suppressed_searched_imported_exported_and_freed(page: Page, daemon: Daemon) -> None:
    page.goto("/suppressions")
    expect(page.get_by_text("Nobody is suppressed")).to_be_visible()
    page.get_by_label("Address", exact=True).fill("Ann@example.com")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("row", name="ann@example.com")).to_be_visible()
    csv = b"address,reason\nbob@example.com,complaint\nno address,manual\n"
    page.get_by_label("File").set_input_files({"name": "list.csv", "mimeType": "text/csv", "buffer": csv})
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("status")).to_contain_text(
        "1 added, 0 were there already, 1 could not be read. Line 3"
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    assert b"bob@example.com,complaint" in download.value.path().read_bytes()
    refused = daemon.http.post(
        f"{daemon.url}/api/emails",
        json={"subject": "x", "text_content": "x", "recipients": ["bob@example.com"]},
    )
    assert refused.status_code == 400
    page.goto("/suppressions?reason=complaint&q=bob")
    expect(page.get_by_role("row", name="ann@example.com")).to_have_count(0)
    look_at(page, ["/suppressions", "/suppressions?q=nobody"])
    page.goto("/suppressions?q=bob")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("status")).to_have_text("bob@example.com gets mail again.")


def test_settings_are_shown_without_secrets(page: Page, daemon: Daemon) -> None:
    page.goto("/settings")
    expect(page.get_by_role("row", name="WEB_THREADS")).to_contain_text("8")
    expect(page.get_by_role("row", name="PORT changed").first).to_contain_text(str(daemon.port))
    for secret in (KEY, daemon.environment["CREDENTIALS_KEY"], daemon.environment["SECRET_KEY"]):
        assert secret not in page.content()
    look_at(page, ["/settings"])
