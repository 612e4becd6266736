"""The picture of the README: the overview of a relay that has been busy for a day.

Made only when asked for, since it changes a file of the repository:

    MAILFERRY_PICTURE=docs/overview.png python -m pytest tests/browser/test_picture.py

Mail, servers and configs are real. Only the hours before are made up, as rows of the table that the charts read.
"""

from __future__ import annotations

import math
import os
import random
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from pysqlite3 import dbapi2 as sqlite

from tests.support.browser import DESKTOP, opened, sign_in
from tests.support.daemon import Daemon
from tests.support.relay import wait_for
from tests.support.sink import Sink

PICTURE = os.environ.get("MAILFERRY_PICTURE")
MOST_BYTES = 200_000
pytestmark = pytest.mark.skipif(not PICTURE, reason="MAILFERRY_PICTURE names no file to write")


def hours_before(folder: Path, now: float, shares: dict[int, float]) -> None:
    """A day of mail, busier at noon; in a database that nobody has open. `shares`: of each config."""
    rng, minutes, used = random.Random(17), [], []
    for minute in range(int(now // 60) - 24 * 60, int(now // 60)):
        sent = round(38 + 30 * math.sin((minute / 1_440 - 0.25) * 2 * math.pi) + rng.uniform(0, 18))
        failed, bounced = int(rng.random() < 0.3), int(rng.random() < 0.1)
        minutes += [(minute, "accepted", max(1, round(sent + rng.uniform(-4, 4)))), (minute, "sent", sent)]
        minutes += [
            (minute, what, number) for what, number in (("failed", failed), ("bounced", bounced)) if number
        ]
        for config, share in shares.items():
            number = int(sent * share + rng.random())
            used.append((config, minute, number, number))
    with closing(sqlite.connect(folder / "data/mailferry.db")) as database, database:
        database.executemany(
            "INSERT OR REPLACE INTO minutes (minute, what, number) VALUES (?, ?, ?)", minutes
        )
        database.executemany(
            "INSERT INTO usage (smtp_config_id, minute, messages, recipients) VALUES (?, ?, ?, ?)", used
        )


def post(daemon: Daemon, count: int, **fields: Any) -> None:
    email = {"subject": "Your order", "recipients": ["ann@example.com"], "text_content": "It is on its way."}
    daemon.post("/api/emails/batch", {"emails": [email | fields for _ in range(count)]})


def test_the_picture_of_the_readme(browser: Browser, tmp_path: Path) -> None:
    with Sink() as sink, Daemon(tmp_path, web_threads=8) as daemon:
        sink.reply_to_rcpt("gone@example.com", "550 5.1.1 no such user")
        sink.reply_to_rcpt("later@example.com", "450 4.2.1 mailbox busy")
        ids = {
            name: daemon.add_config(sink.port, name=name, email_address=address, **limits)
            for name, address, limits in (
                ("Amazon SES", "hello@acme.example", {"hourly_limit": 8_000, "daily_limit": 100_000}),
                ("Microsoft 365", "office@acme.example", {"hourly_limit": 1_800, "daily_limit": 10_000}),
                ("Gmail", "acme@gmail.example", {"hourly_limit": 60, "daily_limit": 500}),
            )
        }
        daemon.stop()
        hours_before(tmp_path, time.time(), dict(zip(ids.values(), (0.9, 0.06, 0.005), strict=True)))
        daemon.start()
        post(daemon, 380, smtp_config_id=ids["Amazon SES"], tags=["shop"])
        post(daemon, 130, smtp_config_id=ids["Microsoft 365"])
        post(daemon, 9, smtp_config_id=ids["Gmail"])
        post(daemon, 3, recipients=["gone@example.com"], smtp_config_id=ids["Microsoft 365"])
        post(daemon, 2, recipients=["later@example.com"], smtp_config_id=ids["Microsoft 365"])
        tomorrow = (datetime.now(UTC) + timedelta(hours=14)).isoformat()
        post(daemon, 24, priority=5, send_at=tomorrow, subject="News")
        wait_for(lambda: daemon.get("/api/queue")["counts"]["sent"] == 519, 60)
        with opened(browser, daemon, viewport=DESKTOP, color_scheme="light") as page:
            sign_in(page)
            page.goto("/overview?span=day")
            expect(page.locator(".states li", has_text="sent").locator(".numbers")).to_have_text("519")
            page.screenshot(path=PICTURE, full_page=False)
    assert Path(PICTURE or "").stat().st_size < MOST_BYTES
