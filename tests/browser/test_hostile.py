"""Texts of strangers in every place where the pages show them: none of it runs, loads, leads away or becomes markup."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import sign_in
from tests.support.daemon import KEY, Daemon, free_port
from tests.support.scripted_smtp import ScriptedServer

EVIL = '<img src=x onerror="window.hacked=1">\'"><script>window.hacked=1</script><b class=evil>{{7*7}}'
REPLY = f"""
S: 220 mx.test ESMTP
C: EHLO *
S: 250 mx.test
C: MAIL *
S: 250 ok
C: RCPT *
S: 550 5.1.1 {EVIL}
C: <eof>
"""


@contextmanager
def listener() -> Iterator[tuple[int, list[str]]]:
    """A port, and who came: nobody should."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        came: list[str] = []
        over = False

        def accept() -> None:
            while not over:
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                came.append("somebody")
                connection.close()

        thread = Thread(target=accept)
        thread.start()
        yield server.getsockname()[1], came
        over = True
        thread.join()


def caged_html(port: int) -> str:
    there = f"http://127.0.0.1:{port}"
    return f"""<link rel="preconnect" href="{there}"><link rel="dns-prefetch" href="{there}">
    <link rel="stylesheet" href="{there}/a.css"><link rel="prefetch" href="{there}/p">
    <link rel="preload" as="image" href="{there}/l">
    <meta http-equiv="refresh" content="0;url={there}/m"><base href="{there}/" target="_top">
    <style>@import url({there}/i.css); body {{ background: url({there}/b.png) }}
    @font-face {{ font-family: f; src: url({there}/f) }} p {{ font-family: f }}</style>
    <p>What it says</p><img src="{there}/img.png"><img srcset="{there}/s.png 2x">
    <video src="{there}/v" autoplay></video>
    <iframe src="{there}/frame"></iframe><object data="{there}/o"></object><embed src="{there}/e">
    <script>top.location = "{there}/s"; fetch("{there}/x")</script>
    <svg onload="top.hacked=1"><image href="{there}/g"/></svg>
    <form action="{there}/form" target="_top"><button id="go">Win</button></form>
    <a id="away" href="{there}/away" target="_top">Away</a> <a id="here" href="{there}/here" target="_self">Here</a>
    <a id="script" href="javascript:top.hacked=1" target="_self">Script</a>"""


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, int, list[str]]]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    with (
        listener() as (port, came),
        ScriptedServer(REPLY) as hostile,
        Daemon(folder, sandbox="on", sandbox_smtp_port=free_port()) as daemon,
    ):
        config = daemon.add_config(hostile.port, name=EVIL, display_name=EVIL)
        daemon.post("/api/keys", {"name": EVIL, "scopes": ["read"]})
        daemon.post("/api/suppressions", {"address": "gone@example.com", "detail": EVIL})
        daemon.send(
            subject=EVIL, text_content=EVIL, html_content=caged_html(port), tags=["<b>evil</b>"],
            metadata={EVIL: EVIL}, headers={"X-Evil": EVIL}, recipients=[f'"{EVIL[:4]}x" <ann@example.com>'],
            attachments=[{"filename": f"{EVIL}\u202egnp.exe", "content": "aGVsbG8="}], smtp_config_id=config,
        )  # fmt: skip
        sandbox = next(one["id"] for one in daemon.get("/api/smtp-configs") if one["name"] == "Sandbox")
        daemon.send(subject=EVIL, html_content=caged_html(port), smtp_config_id=sandbox)
        yield daemon, port, came


@pytest.fixture
def page(browser: Browser, evil: tuple[Daemon, int, list[str]]) -> Iterator[Page]:
    """Its console may say what was kept from running; nothing may ask, or run."""
    daemon, _, _ = evil
    context = browser.new_context(base_url=daemon.url)
    context.set_default_timeout(15_000)
    found = context.new_page()
    found.on("dialog", lambda dialog: dialog.accept())
    sign_in(found, KEY)
    yield found
    context.close()


def test_nothing_that_strangers_wrote_becomes_markup(page: Page, evil: tuple[Daemon, int, list[str]]) -> None:
    page.goto("/emails/1")
    expect(page.locator(".verdict .state")).to_have_text("failed")
    paths = (
        "/overview", "/emails", "/emails?q=<script>", "/emails/1", "/emails/2", "/smtp-configs", "/smtp-configs/2",
        "/smtp-configs/2/edit", "/suppressions", "/suppressions?tenant=<b class=evil>", "/sandbox", "/sandbox/1",
        "/keys", "/audit", "/audit?actor=<b class=evil>", "/users", "/settings", "/compose?subject=<b class=evil>",
    )  # fmt: skip
    shown = 0
    for path in paths:
        page.goto(path)
        shown += page.content().count("onerror=")
        assert page.evaluate("window.hacked") is None, path
        assert page.locator("img[src=x], b.evil, main script").count() == 0, path
        assert "49" not in page.locator("h1").first.inner_text(), path
    assert shown > 10


@pytest.mark.parametrize("path", ["/emails/1", "/sandbox/1"])
def test_a_mails_html_is_in_a_cage(page: Page, evil: tuple[Daemon, int, list[str]], path: str) -> None:
    _, _, came = evil
    came.clear()
    frame = page.frame_locator("#mail-html")
    for where in (path, f"{path}/html"):
        page.goto(where)
        (frame if where == path else page).get_by_text("What it says").wait_for()
        page.wait_for_timeout(300)
        assert page.evaluate("window.hacked") is None
        assert came == []
    for name in (
        "go",
        "away",
        "script",
        "here",
    ):  # a browser may dial for a link that is pressed; it goes nowhere
        page.goto(path)
        frame.locator(f"#{name}").click()
        page.wait_for_timeout(150)
        assert page.url.endswith(path), name
    assert page.evaluate("window.hacked") is None
    assert len(page.context.pages) == 1


def test_another_site_can_post_no_form(page: Page, evil: tuple[Daemon, int, list[str]]) -> None:
    """Even with the right token the cookie stays at home: SameSite."""
    daemon, _, _ = evil
    page.goto("/overview")
    token = page.locator("input[name=csrf]").first.get_attribute("value")
    port = daemon.url.rpartition(":")[2]
    page.route("http://evil.example/", lambda route: route.fulfill(content_type="text/html", body=f"""
      <form method="post" action="http://127.0.0.1:{port}/overview/pause">
      <input name="csrf" value="{token}"><button>Go</button></form>
      <iframe src="http://127.0.0.1:{port}/overview"></iframe>"""))  # fmt: skip
    page.goto("http://evil.example/")
    page.get_by_role("button", name="Go").click()
    page.wait_for_url("**/login*")
    assert daemon.get("/api/queue")["paused"] is False
    assert page.frame_locator("iframe").locator("h1").count() == 0
