"""The pages of the documentation, and the blocks of code in them.

A comment on the line before a block says what is out of the ordinary:

    <!-- not run: why -->    nobody can run it here; its syntax is checked all the same
    <!-- prints -->          what the block before it has printed
    <!-- run by: file -->    that test runs it
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", DOCS / "tutorial.md"]
PAGES += sorted({*DOCS.rglob("*.md")} - {*PAGES})
NOTES = ("not run: ", "run by: ", "prints")
_BLOCK = re.compile(
    r"^(?:<!-- (?P<note>[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    page: Path
    line: int  # of the page, where its code begins
    language: str
    code: str
    note: str

    @property
    def is_run(self) -> bool:
        return not self.note.startswith(("not run", "run by"))

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    text = page.read_text()
    return tuple(
        Block(page, text.count("\n", 0, found.start("code")) + 1, found["language"], found["code"], found["note"] or "")
        for found in _BLOCK.finditer(text)
    )  # fmt: skip


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for title in re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        count = sum(
            one == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", one) is not None for one in found
        )
        found.add(f"{anchor}-{count}" if count else anchor)
    return found
