"""Stored templates in the browser: written beside their preview, restored, tried out, deleted."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.daemon import Daemon
from tests.support.looks import look_at

HTML = (
    "<style>h1 { color: #0a5 }</style><h1>Hello {{ name }}</h1>"
    "{% for item in items %}<p>{{ item.title }}</p>{% endfor %}"
)


def test_one_is_written_beside_its_preview_changed_restored_sent_and_deleted(
    page: Page, daemon: Daemon
) -> None:
    page.goto("/templates")
    expect(page.get_by_text("No template is stored yet")).to_be_visible()
    look_at(page, ["/templates"])
    page.goto("/templates")
    page.get_by_role("link", name="Write one").first.click()
    before = page.evaluate("history.length")
    page.get_by_label("Subject").fill("For {{ name }}")
    page.get_by_label("HTML").fill(HTML)
    page.get_by_label("Variables").fill('{"name": "Ann"}')
    shown = page.frame_locator("iframe[name=preview]")
    expect(shown.get_by_text("For Ann")).to_be_visible()
    expect(shown.get_by_text("Not given: items")).to_be_visible()
    heading = shown.frame_locator("iframe").get_by_role("heading", name="Hello Ann")
    expect(heading).to_have_css("color", "rgb(0, 170, 85)")
    page.get_by_label("Variables").fill("{")
    expect(shown.get_by_role("alert")).to_contain_text("is no JSON")
    assert page.evaluate("history.length") == before  # Back leads back
    page.get_by_label("Name").fill("No Name")
    page.get_by_role("button", name="Store").click()
    expect(page.locator(".invalid-feedback")).to_be_visible()
    expect(page.get_by_label("HTML")).to_have_value(HTML)
    page.get_by_label("Name").fill("welcome")
    page.get_by_role("button", name="Store").click()
    expect(page.get_by_role("status")).to_contain_text("Stored")
    expect(page.get_by_label("Variables, in JSON")).to_have_value(
        '{\n  "items": [\n    {\n      "title": "title"\n    }\n  ],\n  "name": "name"\n}'
    )
    here = page.url
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Subject").fill("Dear {{ name }}")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved: version 2 is in force.")
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("status")).to_contain_text("What version 1 says is in force again, as version 3")
    look_at(page, [here, f"{here}?version=1", f"{here}/edit"])
    page.goto(here)
    page.get_by_label("Variables, in JSON").fill('{"name": "Zoe", "items": []}')
    page.get_by_label("To", exact=True).fill("zoe@example.com")
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator(".verdict .state")).to_have_text("sent")
    expect(page.get_by_role("heading", name="For Zoe")).to_be_visible()
    page.goto(here)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_have_text("welcome is deleted.")


def test_a_change_over_somebody_elses_is_refused(page: Page, daemon: Daemon) -> None:
    made = daemon.post("/api/templates", {"name": "news", "subject": "News", "text": "Old"})["template_id"]
    page.goto(f"/templates/{made}/edit")
    answer = daemon.http.put(f"{daemon.url}/api/templates/{made}", json={"text": "Theirs"}, timeout=30)
    assert answer.status_code == 200
    page.get_by_label("Text").fill("Mine")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("version 2 is in force by now")
    expect(page.get_by_label("Text")).to_have_value("Mine")
    assert daemon.get(f"/api/templates/{made}")["text"] == "Theirs"
