"""The pages of docs/ and the README: every command, option, setting, file and path in them exists."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path

import click
import pytest

import config
from controllers.cli import cli

ROOT = Path(__file__).resolve().parents[2]
DOCS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "deploy/alerts.yml",
]


def name_of(doc: Path) -> str:
    return doc.relative_to(ROOT).as_posix()


SETTINGS = {one.name.upper() for one in fields(config.Settings)} | {"ENV_FILE"}
CALL = re.compile(r"(?:python app\.py|^mailferry) ([a-z][^`\n\"|]*)", re.MULTILINE)


def words_of(call: str) -> list[str]:
    """Of a command as a shell reads it; of one within a sentence, without what goes on after it."""
    return shlex.split(call if call.count("'") == 2 else re.sub(r"[;,.:)]+( .*)?$|\{\{.*", "", call))


def check_call(words: list[str]) -> None:
    command: click.Command = cli
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        assert words[0] in command.commands, words
        command = command.commands[words.pop(0)]
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
    assert {one for one in words if one.startswith("-") and one != "-"} <= known, words


@pytest.mark.parametrize("doc", DOCS, ids=name_of)
def test_every_command_and_option_exists(doc: Path) -> None:
    for call in CALL.findall(doc.read_text()):
        check_call(words_of(call))


@pytest.mark.parametrize("doc", DOCS, ids=name_of)
def test_every_setting_and_make_target_exists(doc: Path) -> None:
    text = doc.read_text()
    named = set(re.findall(r"(?<![\w$/])([A-Z][A-Z_]{3,})=", text))
    assert named <= SETTINGS | {
        "VENV",
        "PYTHON",
        "PUBLISH",
        "KEY",
        "MAILFERRY_KEY",
        "CONFIG",
        "EMAIL",
        "ACCOUNT",
        "NAME",
        "FOLDER",
        "MESSAGE",
    }
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        assert set(re.findall(r"\bmake ([a-z]+)", block)) <= targets


def test_the_walk_notices_what_is_not_there() -> None:
    with pytest.raises(AssertionError):
        check_call(["restore", "--nonsense"])
    with pytest.raises(AssertionError):
        check_call(["unknown", "forget"])
    assert len(CALL.findall((ROOT / "docs/how-to/backup.md").read_text())) >= 12
