"""docs/api.md against the code: every error code, and every group of rate limits, with nothing more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from controllers.openapi_texts import HEADERS
from services.rate_limits import DEFAULTS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/api.md").read_text()
ROW = re.compile(r"^\| `([A-Z][A-Z_]+)` \| (\d{3}(?:, \d{3})*) \| (.+) \|$", re.MULTILINE)
CODE = re.compile(r"[A-Z][A-Z_]+\Z")
NAMES = {"code", "_CODES", "_IMMUTABLE"}
MAKERS = {"FieldError", "_refused", "_refuse", "_wrong", "envelope"}
NOT_OF_HTTP = ("controllers/cli/", "services/backup", "services/restore")  # only the command line says these


def _names(node: ast.AST) -> Iterator[str]:
    return (getattr(one, "id", getattr(one, "attr", getattr(one, "arg", ""))) for one in ast.walk(node))


def _said(node: ast.AST) -> Iterator[ast.AST | None]:
    """What may be a code: by its keyword, its place in what makes errors, or the name that it is given."""
    if isinstance(node, ast.keyword) and node.arg == "code":
        yield node.value
    elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in MAKERS:
        yield from node.args[1:]
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if NAMES & set(_names(target)):
            yield node.value


def codes() -> set[str]:
    found = set()
    for room in ("controllers", "services", "utils"):
        for path in (ROOT / room).rglob("*.py"):
            if not str(path.relative_to(ROOT)).startswith(NOT_OF_HTTP):
                found |= _codes_in(ast.parse(path.read_text()))
    return found


def _codes_in(tree: ast.AST) -> set[str]:
    return {
        one.value
        for node in ast.walk(tree)
        for said in _said(node)
        if said is not None
        for one in ast.walk(said)
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and CODE.match(one.value)
    }


def test_every_error_code_is_told_and_no_other() -> None:
    told = [code for code, _, _ in ROW.findall(TEXT)]
    assert set(told) == codes()
    assert len(told) == len(set(told)) > 60


def test_the_walk_would_notice_a_code() -> None:
    found = _codes_in(
        ast.parse('raise ConflictError("no", code="NEW_ONE")\n[FieldError("a", "b", "NEW_TWO")]')
    )
    assert found == {"NEW_ONE", "NEW_TWO"}


def test_the_groups_of_rate_limits_are_told_as_they_are() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (\d+/\w+) \|", TEXT, re.MULTILINE))
    assert told == {group: rate for group, rate in DEFAULTS.items() if group != "login"}


def test_the_headers_are_told() -> None:
    assert [name for name in HEADERS if f"`{name}`" not in TEXT and f"`{name}:" not in TEXT] == []
