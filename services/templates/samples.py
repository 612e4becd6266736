"""Variables to try a template with, made of the paths that it uses: each has its own name for a value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_MOST = 500


def sample_of(paths: Iterable[str]) -> dict[str, Any]:
    """`["user.name", "items[].title"]` → {"user": {"name": "name"}, "items": [{"title": "title"}]}"""
    found: dict[str, Any] = {}
    for path in sorted(paths, key=lambda one: one.count("."), reverse=True)[:_MOST]:
        _put(found, path.split("."))
    return {name: found[name] for name in sorted(found)}


def _put(into: dict[str, Any], steps: list[str]) -> None:
    """What is there already is more than a word: the longest paths come first."""
    name, *rest = steps
    bare = name.removesuffix("[]")
    is_list = name != bare
    if not rest:
        into.setdefault(bare, [bare] if is_list else bare)
        return
    inner = into.setdefault(bare, [{}] if is_list else {})
    inner = inner[0] if isinstance(inner, list) else inner
    if isinstance(inner, dict):
        _put(inner, rest)
