"""Completion in a real bash; for the other shells, that the script calls this checkout and parses where they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from controllers.cli.completion import APP, script
from tests.cli.conftest import CommandLine
from tests.support.daemon import ROOT
from tests.support.database import sqlite_only

_ASK = """
source "$SCRIPT"
for line in "$@"; do
    read -ra COMP_WORDS <<< "$line"
    [[ $line == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
    _mailferry_completion "${COMP_WORDS[0]}"
    echo "${COMPREPLY[*]}"
done
"""


def asked(run: CommandLine, tmp_path: Path, *typed: str) -> list[list[str]]:
    """What bash offers for each line typed so far."""
    file = tmp_path / "mailferry.bash"
    file.write_text(run("completion", "bash").out)
    env = {"PATH": os.environ["PATH"], "SCRIPT": str(file), "ENV_FILE": str(tmp_path / "no.env")} | run.env
    done = subprocess.run(
        ["bash", "-c", _ASK, "ask", *typed], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return [line.split() for line in done.stdout.split("\n")[: len(typed)]]


def test_bash_completes_commands_options_words_ids_and_names(run: CommandLine, tmp_path: Path) -> None:
    run("configs", "add", "--name", "relay", "--email", "a@b.test", "--host", "127.0.0.1", "--port", "9")
    run("users", "add", "ann", piped="a long enough password\n")
    offered = asked(
        run, tmp_path, "mailferry em", "mailferry emails c", "./mailferry emails list --st",
        "mailferry emails list --status q", "mailferry configs show ", "mailferry users remove a",
    )  # fmt: skip
    assert offered == [["emails", "email"], ["cancel", "change"], ["--status"], ["queued"], ["1"], ["ann"]]


@sqlite_only
def test_where_there_is_no_database_none_is_made(run: CommandLine, tmp_path: Path) -> None:
    assert asked(run, tmp_path, "mailferry configs show ") == [[]]
    assert not run.data_dir.exists() and not (tmp_path / "no.env").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_for_mailferry_and_calls_this_checkout(shell: str, tmp_path: Path) -> None:
    text = script(shell)
    assert f"_MAILFERRY_COMPLETE={shell}_complete" in text
    assert text.count(f"{sys.executable} {APP}") == 1
    program = shutil.which(shell)
    if program is not None:
        file = tmp_path / "script"
        file.write_text(text)
        subprocess.run([program, "-n", str(file)], check=True, timeout=30)


def test_the_program_beside_app_py_is_the_same_from_anywhere_and_by_a_link(tmp_path: Path) -> None:
    link = tmp_path / "mailferry"
    link.symlink_to(ROOT / "mailferry")
    venv = ROOT / ".venv/bin/python"
    path = os.environ["PATH"] if venv.exists() else f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run([link, "keys", "--help"], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True,
                          timeout=60, check=True)  # fmt: skip
    assert done.stdout.startswith("Usage: python app.py keys")
