from __future__ import annotations

import io
import json
import shlex
import subprocess
from pathlib import Path

import pytest

from controllers.cli.welcome import show

KEY = "mf_planted-key_0123456789"


def shown(env_file: Path, host: str = "127.0.0.1") -> str:
    stream = io.StringIO()
    show(host, 5000, env_file, stream)
    return stream.getvalue()


def words_of(text: str, command: str, **env: str) -> list[str]:
    """What the shell makes of the printed command: its words, after `$(…)` and `$…` are replaced."""
    line = next(line for line in text.splitlines() if line.strip().startswith("curl") and command in line)
    script = line.strip().replace("curl ", "printf '%s\\0' ", 1)
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"} | env
    )
    return done.stdout.split("\0")[:-1]


@pytest.mark.parametrize("folder", ["plain", "with space", "it's"])
def test_the_printed_command_reads_the_key_from_env_itself(tmp_path: Path, folder: str) -> None:
    env_file = tmp_path / folder / ".env"
    env_file.parent.mkdir()
    env_file.write_text(f"SECRET_KEY=x\nAPI_KEY={KEY}\n")
    text = shown(env_file)
    assert KEY not in text
    words = words_of(text, "/api/emails")
    assert words[words.index("-H") + 1] == f"X-API-Key: {KEY}"
    assert json.loads(words[words.index("-d") + 1])["recipients"] == ["you@example.com"]
    assert words[-1] == "http://127.0.0.1:5000/api/emails"
    assert words_of(text, "/api/sandbox")[-1] == "http://127.0.0.1:5000/api/sandbox"


def test_a_key_from_the_environment_is_taken_from_there(tmp_path: Path) -> None:
    words = words_of(shown(tmp_path / "none"), "/api/emails", API_KEY=KEY)
    assert f"X-API-Key: {KEY}" in words


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:5000"), ("::1", "http://[::1]:5000"), ("box.lan", "http://box.lan:5000")],
)
def test_the_url_can_be_reached_from_here(tmp_path: Path, host: str, url: str) -> None:
    assert f"ready: {url} " in shown(tmp_path / "none", host)


def test_it_is_fit_for_a_terminal_of_any_width(tmp_path: Path) -> None:
    for line in shown(tmp_path / "none").splitlines():
        assert shlex.split(line) is not None
