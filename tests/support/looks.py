"""Every page at both widths and in both schemes: it fits, and axe-core finds nothing. With MAILFERRY_SCREENSHOTS=folder
the pictures are kept, for people to look at."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from playwright.sync_api import Page

from tests.support.browser import DESKTOP, PHONE, check_accessible, check_no_overflow

SIZES = {"desktop": DESKTOP, "phone": PHONE}


def look_at(page: Page, paths: Iterable[str], ready: str = "main") -> None:
    """`ready`: a selector of what must be there before the page is judged."""
    for path in paths:
        page.goto(path)
        page.locator(ready).first.wait_for()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            for name, size in SIZES.items():
                page.set_viewport_size(size)  # type: ignore[arg-type]
                check_no_overflow(page)
                check_accessible(page)
                _keep(page, f"{path}-{scheme}-{name}")
        page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]


def _keep(page: Page, name: str) -> None:
    folder = os.environ.get("MAILFERRY_SCREENSHOTS")
    if folder:
        plain = "".join(one if one.isalnum() or one in "-." else "-" for one in name).strip("-")
        page.screenshot(path=Path(folder) / f"{plain}.png", full_page=True)
