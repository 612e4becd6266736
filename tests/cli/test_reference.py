"""docs/cli.md tells what there is, and its examples run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import click
import pytest

from controllers.cli import FAILED, INTERRUPTED, MISUSED, SECTIONS, cli
from controllers.cli.failures import _ABSENT
from tests.cli.conftest import CommandLine
from tests.cli.reference import DOC, walk, written
from tests.support.daemon import ROOT

COMMANDS = {" ".join(path): command for path, command in walk(cli)}


def examples() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", DOC.read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if "app.py" in line]


def test_every_command_and_option_is_told_as_it_is() -> None:
    assert DOC.read_text() == written(), "run: python -m tests.cli.reference"


def test_every_option_and_command_says_what_it_is_for() -> None:
    for path, command in COMMANDS.items():
        assert command.help, path
        for one in command.params:
            assert not isinstance(one, click.Option) or one.help, f"{path} {one.opts}"


def test_every_command_that_is_done_answers_scripts() -> None:
    """But for those whose output is a file, a server, or nothing but text."""
    without = {path for path, one in COMMANDS.items() if not any("--json" in p.opts for p in one.params)}
    groups = {path for path, one in COMMANDS.items() if isinstance(one, click.Group)}
    assert without - groups == {"serve", "completion", "emails raw", "sandbox raw", "suppressions export"}


@pytest.mark.parametrize("entry", [one for section in SECTIONS.values() for one in section], ids=str)
def test_the_help_of_all_says_what_the_help_of_each_begins_with(entry: object) -> None:
    name, told = entry[0], entry[3]  # type: ignore[index]
    text = " ".join((COMMANDS[name].help or "").split())
    assert text.startswith(told)


def test_the_exit_statuses_are_those_of_the_code() -> None:
    told = re.findall(r"^\| (\d+) \|", DOC.read_text(), re.MULTILINE)
    assert [int(one) for one in told] == [0, FAILED, MISUSED, INTERRUPTED]


def test_what_an_error_advises_to_run_is_there() -> None:
    assert set(_ABSENT.values()) <= set(COMMANDS)


def test_the_examples_run(run: CommandLine) -> None:
    """In their order, as a reader would, on a fresh relay."""
    assert len(examples()) > 20
    for line in examples():
        piped = ""
        words = shlex.split(line)
        if words[0] == "printf":
            piped, words = f"{words[2]}\n", words[words.index("|") + 1 :]
        assert words[:2] == ["python", "app.py"], line
        result = run(*words[2:], piped=piped)
        assert result.status == 0, f"{line}\n{result.err}"


def test_help_loads_neither_the_web_nor_the_database() -> None:
    """Most of the second that it once took."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / "app.py"), "--help"], capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in loaded
    assert not loaded & {
        "flask",
        "apiflask",
        "pydantic",
        "peewee",
        "cryptography",
        "rich",
        "models",
        "services",
    }
