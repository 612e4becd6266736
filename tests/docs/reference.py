"""Writes what docs/settings.md says about each setting: `python -m tests.docs.reference`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import config
from tests.docs.pages import DOCS

PAGE = DOCS / "settings.md"
BEGIN, END = "<!-- settings: written by `python -m tests.docs.reference` -->\n", "<!-- settings end -->\n"


def table() -> str:
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "| setting | default | what it does |"
    yield "| --- | --- | --- |"
    for one in fields(config.Settings):
        default = one.metadata["default"]
        shown = "made at the first start" if default is None else f"`{default}`" if default else "empty"
        why = one.metadata["why"].replace("|", "\\|").removesuffix("; made at first start")
        yield f"| `{one.name.upper()}` | {shown} | {why.replace('; made at first start', '')} |"


def written(text: str) -> str:
    """The page with its table as it should be."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
