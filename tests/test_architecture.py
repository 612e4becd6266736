"""Each room imports only from the rooms below it, and only one file reads the clock or the environment."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = {"app", "config", "controllers", "models", "services", "utils", "workers", "tests"}
MAY_IMPORT = {
    "utils": set(),
    "config": set(),
    "models": {"utils"},
    "services": {"models", "utils"},
    "workers": {"services", "models", "utils"},
    "controllers": {"services", "utils"},
}
NOT_IN_SERVICES = {"flask", "apiflask", "threading", "click", "gunicorn"}
# `python -c "from models import initialize_db; initialize_db()"` prepares the database of the settings.
EXCEPTIONS = {("models/__init__.py", "config")}


def imports(path: Path) -> Iterator[str]:
    """Top-level names of what a file imports, inside functions too; what is for type checkers alone counts as well."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def files(room: str) -> list[Path]:
    single = ROOT / f"{room}.py"
    return [single] if single.exists() else sorted((ROOT / room).rglob("*.py"))


def breaches(room: str) -> list[str]:
    allowed = MAY_IMPORT[room] | {room}
    found = []
    for path in files(room):
        name = path.relative_to(ROOT).as_posix()
        strange = (set(imports(path)) & OURS) - allowed
        found += [f"{name} imports {one}" for one in strange if (name, one) not in EXCEPTIONS]
    return found


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_from_the_rooms_below_it(room: str) -> None:
    assert files(room), f"{room} is empty: the walk looks at nothing"
    assert breaches(room) == []


def test_the_walk_would_notice_a_breach(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from services.accept import submit\n")
    assert "services" in set(imports(bad))


def test_services_know_neither_the_web_nor_threads() -> None:
    found = [
        f"{path.relative_to(ROOT)} imports {name}" for path in files("services") for name in imports(path)
        if name in NOT_IN_SERVICES
    ]  # fmt: skip
    assert found == []


def test_only_tests_and_the_server_import_the_composition_root() -> None:
    found = [
        path.relative_to(ROOT).as_posix()
        for path in sorted(ROOT.rglob("*.py"))
        if not {"tests", ".venv", "benchmarks"} & set(path.relative_to(ROOT).parts)
        and "app" in set(imports(path))
    ]
    assert found == ["gunicorn.conf.py"]


def test_only_config_reads_the_environment() -> None:
    found = [
        path.relative_to(ROOT).as_posix()
        for room in ("models", "services", "controllers", "workers", "utils")
        for path in files(room)
        if "os.environ" in path.read_text() or "os.getenv" in path.read_text()
    ]
    assert found == []
