"""The list of emails and the page of each, in a real browser over a real daemon and real SMTP servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import opened, sign_in
from tests.support.daemon import Daemon, free_port
from tests.support.looks import look_at

HTML = (
    "<h1>Your order</h1><img src='https://tracker.example/x.png'><script>document.title = 'hacked'</script>"
)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The sandbox, and a config that nobody answers for: what is pinned to it waits."""
    folder: Path = tmp_path_factory.mktemp("emails")
    with Daemon(folder, sandbox="on", sandbox_smtp_port=free_port()) as daemon:
        dead = daemon.add_config(free_port(), name="Dead")
        daemon.folder.joinpath("dead").write_text(str(dead))
        yield daemon


@pytest.fixture
def mine(browser: Browser, busy: Daemon) -> Iterator[Page]:
    with opened(browser, busy) as page:
        sign_in(page)
        yield page


def sandbox_of(daemon: Daemon) -> int:
    return next(int(one["id"]) for one in daemon.get("/api/smtp-configs") if one["name"] == "Sandbox")


def dead_of(daemon: Daemon) -> int:
    return int(daemon.folder.joinpath("dead").read_text())


def test_an_email_becomes_sent_before_ones_eyes(mine: Page, busy: Daemon) -> None:
    busy.post("/api/queue/pause")
    email = busy.send(subject="Watch me", smtp_config_id=sandbox_of(busy))
    mine.goto(f"/emails/{email}")
    mine.evaluate("window.untouched = true")
    expect(mine.locator(".verdict .state")).to_have_text("queued")
    busy.post("/api/queue/resume")
    expect(mine.locator(".verdict .state")).to_have_text("sent")
    expect(mine.locator(".timeline")).to_contain_text("handed over")
    expect(mine.locator(".verdict time")).not_to_contain_text("UTC")
    assert mine.evaluate("window.untouched")


def test_what_an_email_says_is_shown_and_does_nothing(mine: Page, busy: Daemon) -> None:
    note = {"filename": '../a"b.txt', "content": "aGVsbG8="}
    email = busy.send(
        subject="<b>Order</b>", html_content=HTML, attachments=[note], smtp_config_id=sandbox_of(busy)
    )
    mine.goto(f"/emails/{email}")
    expect(mine.get_by_role("heading", name="<b>Order</b>")).to_be_visible()
    expect(mine.frame_locator("#mail-html").get_by_role("heading", name="Your order")).to_be_visible()
    assert "hacked" not in mine.title()
    mine.get_by_role("button", name="Phone width").click()
    assert mine.locator("#mail-html").bounding_box()["width"] == pytest.approx(390, abs=2)  # type: ignore[index]
    mine.get_by_text("Source", exact=True).click()
    expect(mine.locator("[data-part=raw]")).to_contain_text("Message-ID:")
    with mine.expect_download() as download:
        mine.get_by_role("link", name="b.txt").click()
    assert download.value.path().read_bytes() == b"hello"


def test_many_are_cancelled_and_sent_again_at_once(mine: Page, busy: Daemon) -> None:
    emails = [busy.send(subject=f"Bulk {n}", smtp_config_id=dead_of(busy)) for n in range(3)]
    mine.goto("/emails?q=Bulk")
    mine.get_by_label("All on this page").check()
    expect(mine.locator("[data-count]")).to_have_text("3 chosen")
    mine.get_by_role("button", name="Cancel").click()
    expect(mine.get_by_role("status")).to_have_text("3 cancelled.")
    expect(mine.locator(".rows .state-cancelled")).to_have_count(3)
    mine.get_by_label(f"Choose email {emails[0]}").check()
    mine.get_by_role("button", name="Send again").click()
    expect(mine.get_by_role("status")).to_have_text("1 queued again.")
    mine.get_by_label("All on this page").check()
    mine.get_by_role("button", name="Send again").click()
    expect(mine.get_by_role("status")).to_contain_text("2 queued again. 1 could not be")
    busy.post(f"/api/emails/{emails[0]}/cancel")


def test_a_waiting_email_says_why_and_can_be_moved(mine: Page, busy: Daemon) -> None:
    email = busy.send(subject="Waits", smtp_config_id=dead_of(busy))
    mine.goto(f"/emails/{email}")
    expect(mine.locator(".verdict")).to_contain_text("Dead", timeout=15_000)
    mine.get_by_text("Change when and how it goes").click()
    mine.get_by_label("Not before").fill("2027-01-02T09:00")
    mine.get_by_label("Priority").select_option("1")
    mine.get_by_role("button", name="Change").click()
    expect(mine.locator(".verdict .state")).to_have_text("scheduled")
    detail = busy.get(f"/api/emails/{email}")
    assert (detail["send_at"][:16], detail["priority"]) == (
        "2027-01-02T00:00",
        1,
    )  # nine in the morning in Tokyo


def test_it_is_found_by_what_people_remember(mine: Page, busy: Daemon) -> None:
    busy.send(
        subject="Invoice 17", recipients=["zoe@example.com"], tags=["bill"], smtp_config_id=dead_of(busy)
    )
    for query in (
        "q=invoice",
        "recipient=zoe@example.com",
        "tag=bill",
        f"config={dead_of(busy)}&q=17",
        "since=2020-01-01T00:00",
    ):
        mine.goto(f"/emails?{query}")
        expect(mine.get_by_role("link", name="Invoice 17")).to_be_visible()
    for query in ("q=nothing+like+that", "status=failed&q=invoice", "until=2020-01-01T00:00"):
        mine.goto(f"/emails?{query}")
        expect(mine.get_by_text("No email is like that")).to_be_visible()
    for query in ("since=yesterday", "config=x", "status=gone", "cursor=x"):
        mine.goto(f"/emails?{query}")
        expect(mine.get_by_role("alert")).to_be_visible()


def test_pages_of_emails_are_accessible_and_fit(mine: Page, busy: Daemon) -> None:
    email = busy.send(
        subject="A rather long subject that says very much about very little, and then some more of it",
        html_content=HTML, cc=["a-rather-long-address-of-somebody@a-rather-long-domain-of-somebody.example.com"],
        tags=["one", "two"], metadata={"order": 17}, smtp_config_id=sandbox_of(busy),
    )  # fmt: skip
    failed = busy.send(subject="Waits", smtp_config_id=dead_of(busy))
    mine.goto(f"/emails/{email}")
    expect(mine.locator(".verdict .state")).to_have_text("sent")
    look_at(mine, ["/emails", "/emails?status=sent&tag=none", f"/emails/{email}", f"/emails/{failed}"])
