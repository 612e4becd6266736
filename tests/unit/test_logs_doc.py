"""docs/logs.md against the code, both ways: each action with its level and its fields."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from services.metrics import OUTCOMES

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(\w+)` \| ([A-Z]+) \|([^|]*)\| ([^|]+) \|$", re.MULTILINE)
LEVELS = {"exception": "ERROR"}
Action = tuple[str, str, frozenset[str]]


def logged() -> Iterator[Action]:
    """Every call like `log.info("action=… field=%s", …)`."""
    rooms = ("controllers", "models", "services", "utils", "workers")
    files = [one for room in rooms for one in (ROOT / room).rglob("*.py")]
    for path in (*files, ROOT / "app.py", ROOT / "gunicorn.conf.py", ROOT / "config.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                text, method = node.args[0].value, getattr(node.func, "attr", "")
                if isinstance(text, str) and text.startswith("action="):
                    yield from actions(text, LEVELS.get(method, method.upper()))


def actions(text: str, level: str) -> Iterator[Action]:
    fields = frozenset(re.findall(r"(\w+)=", text)) - {"action"}
    name = text.split()[0].removeprefix("action=")
    for one in OUTCOMES if name == "%s" else (name,):
        yield one, level, fields


def described() -> list[Action]:
    found = ROW.findall((ROOT / "docs/logs.md").read_text())
    return [(name, level, frozenset(re.findall(r"`(\w+)`", fields))) for name, level, fields, _ in found]


def test_every_action_is_described_with_its_level_and_fields_and_no_other() -> None:
    told = described()
    assert set(told) == set(logged())
    assert len(told) == len(set(told)) > 20


def test_the_walk_would_notice_an_action() -> None:
    assert ("sent", "INFO", frozenset({"email", "config", "stage", "reply"})) in set(logged())
    assert list(actions("action=new email=%d", "INFO")) == [("new", "INFO", frozenset({"email"}))]
