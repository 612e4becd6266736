"""/openapi.json under the rules that Redocly recommends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.node import need_package, run_node

RULES = Path(__file__).with_name("redocly.yaml")


def problems(described: dict[str, Any], folder: Path) -> list[tuple[str, str, str]]:
    redocly = need_package("@redocly/cli")
    (folder / "openapi.json").write_text(json.dumps(described))
    told = run_node(
        redocly / "bin/cli.js", "lint", "--config", RULES, "--format", "json", "--max-problems", "1000",
        "--lint-config", "error", "openapi.json",
        cwd=folder,
    )  # fmt: skip
    found = json.JSONDecoder().raw_decode(told[told.index("{") :])[0]["problems"]
    return [(one["ruleId"], one["message"], one["location"][0]["pointer"]) for one in found]


def test_the_linter_finds_nothing(described: dict[str, Any], tmp_path: Path) -> None:
    """No error, and no warning either."""
    assert problems(described, tmp_path) == []


def test_the_linter_would_find_something(described: dict[str, Any], tmp_path: Path) -> None:
    spoilt = json.loads(json.dumps(described))
    spoilt["components"]["schemas"]["Unused"] = {"type": "string"}
    assert [one[0] for one in problems(spoilt, tmp_path)] == ["no-unused-components"]
