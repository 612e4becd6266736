"""docs/composing.md: its commands work as they stand there, one after the other."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.composing.test_killed import USER, of
from tests.support.daemon import KEY, Daemon
from tests.support.tools import need

TEXT = (Path(__file__).resolve().parents[2] / "docs/composing.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
STRICT = 'set -e\ncurl() { command curl --noproxy "*" --fail-with-body "$@"; echo; }\n'


def test_the_commands_work(tmp_path: Path) -> None:
    need("curl", "curl")
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7")
    with Daemon(tmp_path, allow_private_hosts="on") as daemon:
        account = daemon.post("/api/accounts", of("ann@acme.test", 9, 9), headers=USER)["id"]
        ready = {"accountId": account, "subject": "Ready", "body": "to go"}
        draft = daemon.post("/api/compose/drafts", ready, headers=USER)["draftId"]
        script = STRICT + "".join(BLOCKS).replace("http://127.0.0.1:5000", daemon.url)
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60,
            env={"PATH": "/usr/bin:/bin", "KEY": KEY, "ACCOUNT": account, "DRAFT": draft},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(done.stdout.splitlines()) == 7
        assert daemon.query("SELECT count(*) FROM emails") == [(2,)]


@pytest.mark.parametrize(
    "name", ["sendAt", "inReplyTo", "replyTo", "attachmentIds", "isHtml", "contentId", "sentCopy"]
)
def test_its_words_are_those_of_the_contract(name: str) -> None:
    fields = Path(__file__).resolve().parents[2] / "controllers/schemas"
    code = (fields / "composing.py").read_text() + (fields / "accounts.py").read_text()
    snake = re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)
    assert f"{snake}:" in code
    assert f"`{name}`" in TEXT
