from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import CommandLine


def listed(run: CommandLine, *options: str) -> list[str]:
    return [one["address"] for one in run("suppressions", "list", "--json", *options).json]


def test_addresses_are_added_listed_and_removed(run: CommandLine) -> None:
    assert "Added: 2 of 2." in run("suppressions", "add", "Ann@example.com", "bob@example.com").out
    assert listed(run) == ["ann@example.com", "bob@example.com"]
    assert (listed(run, "-q", "bob"), listed(run, "--tenant", "acme")) == (["bob@example.com"], [])
    assert "manual" in run("suppressions", "list").out
    assert run("suppressions", "remove", "ann@example.com").status == 0
    gone = run("suppressions", "remove", "ann@example.com")
    assert gone.status == 1 and "not suppressed" in gone.err
    assert run("suppressions", "add", "nobody").status == 1


def test_a_list_moves_from_one_tenant_to_another(run: CommandLine, tmp_path: Path) -> None:
    run("suppressions", "add", "ann@example.com", "--detail", "by phone")
    file = tmp_path / "list.csv"
    file.write_text(run("suppressions", "export").out + "nobody,,,\n")
    told = run("suppressions", "import", str(file), "--tenant", "acme")
    assert told.status == 1 and "Added: 1. There already: 0. Wrong: 1." in told.out
    assert "line 3" in told.err
    assert listed(run, "--tenant", "acme") == ["ann@example.com"]
