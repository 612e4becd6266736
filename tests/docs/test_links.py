"""Links between the pages, their anchors and pictures; and each page is found from docs/README.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, anchors, name_of

WRITTEN_BY_BENCH = {"performance.json", "performance.svg"}  # so they need not be there
MOST_BYTES = 200_000


def links(page: Path) -> list[tuple[str, str]]:
    """(file, anchor) of each link that stays in the repository; an empty file is the page itself."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)", text)
    return [(file, anchor) for file, anchor in found if not file.startswith(("http:", "https:", "mailto:"))]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=name_of)
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    for file, anchor in links(page):
        target = (page.parent / file).resolve() if file else page
        assert target.exists() or target.name in WRITTEN_BY_BENCH, file
        if anchor:
            assert anchor in anchors(target), f"{file}#{anchor}"


def test_every_page_is_linked_from_the_way_in() -> None:
    linked = {(DOCS / file).resolve() for file, _ in links(DOCS / "README.md") if file}
    assert set(PAGES) - linked - {ROOT / "README.md", DOCS / "README.md"} == set()


def test_every_page_leads_back_to_the_way_in() -> None:
    for page in PAGES[1:]:
        targets = {(page.parent / file).resolve() for file, _ in links(page)}
        assert page.name == "README.md" or DOCS / "README.md" in targets, page


def test_the_readme_fits_on_a_screen_and_shows_a_picture() -> None:
    text = (ROOT / "README.md").read_text()
    (picture,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    data = (ROOT / picture).read_bytes()
    assert data.startswith(b"\x89PNG") and len(data) < MOST_BYTES
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == (1440, 900)
    assert len(text.splitlines()) <= 60


def test_the_walk_notices_a_wrong_anchor(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# One & two\n\n## `Three`: [four](x.md)\n\n[x](#nowhere)\n")
    assert anchors(page) == {"one--two", "three-four"}
    assert links(page) == [("x.md", ""), ("", "nowhere")]
