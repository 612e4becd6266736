from __future__ import annotations

import pytest

from tests.cli.conftest import CommandLine


def test_without_a_command_it_serves(run: CommandLine) -> None:
    assert run().status == 0
    assert run.served == 1


def test_serve_serves(run: CommandLine) -> None:
    assert run("serve").status == 0
    assert run.served == 1


@pytest.mark.parametrize("argv", [("--help",), ("send", "--help"), ("keys", "--help")])
def test_help_is_on_stdout_and_a_success(run: CommandLine, argv: tuple[str, ...]) -> None:
    result = run(*argv)
    assert result.status == 0
    assert "Usage: python app.py" in result.out


@pytest.mark.parametrize(
    "argv", [("nonsense",), ("send",), ("send", "--priority", "9", "--to", "a@b.de"), ("keys", "revoke", "x")]
)
def test_wrong_usage_is_one_line_and_status_2(run: CommandLine, argv: tuple[str, ...]) -> None:
    result = run(*argv)
    assert result.status == 2
    assert result.out == ""
    assert len(result.err.splitlines()) == 1 and result.err.startswith("mailferry: ")


def test_a_wrong_setting_is_named_and_status_2(run: CommandLine) -> None:
    run.env["PORT"] = "high"
    for command in ("serve", "doctor"):
        result = run(command)
        assert result.status == 2
        assert result.err.startswith("mailferry: PORT") and len(result.err.splitlines()) == 1
    assert run.served == 0
