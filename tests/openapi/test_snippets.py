"""Each snippet is run as it stands, and sends an email."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from controllers.snippets import KEY_VARIABLE, Snippet, snippets
from tests.support.daemon import KEY, ROOT, Daemon
from tests.support.node import NODE
from tests.support.tools import need

HERE = "http://127.0.0.1:5000"


def command(one: Snippet, folder: Path) -> list[str]:
    if one.id == "curl":
        need("curl")
        return ["sh", "-c", one.code]
    (folder / one.file).write_text(one.code)
    return [{"python": sys.executable, "node": str(NODE)}[one.id], one.file]


@pytest.mark.parametrize("name", ["curl", "python", "node"])
def test_it_sends_an_email(daemon: Daemon, tmp_path: Path, name: str) -> None:
    (one,) = [one for one in snippets(daemon.url) if one.id == name]
    before = daemon.query("SELECT count(*) FROM emails")[0][0]
    done = subprocess.run(
        command(one, tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"], KEY_VARIABLE: KEY, "no_proxy": "*"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Email created and queued successfully" in done.stdout
    assert daemon.query("SELECT count(*) FROM emails")[0][0] == before + 1


def test_an_address_cannot_break_out_of_them() -> None:
    """The page that shows them takes it from the request."""
    curl, python, node = snippets("http://a'b\"c;$(id)`x`")
    assert subprocess.run(["sh", "-n", "-c", curl.code], check=False).returncode == 0
    assert "'http://a'\"'\"'b\"c;$(id)`x`/api/emails'" in curl.code
    compile(python.code, "send.py", "exec")
    assert '"http://a\'b\\"c;$(id)`x`/api/emails"' in python.code
    assert '"http://a\'b\\"c;$(id)`x`/api/emails"' in node.code


def test_the_docs_show_these() -> None:
    text = (ROOT / "docs/api.md").read_text()
    for one in snippets(HERE):
        assert f"```{one.language}\n{one.code}```" in text, one.id
