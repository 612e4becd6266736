"""docs/templates.md: its commands work as they stand there, one after the other, and what they send arrives."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from services.templates.filters import FILTERS
from services.templates.sandbox import SANDBOXES
from tests.support.app import CONFIG
from tests.support.daemon import KEY, ROOT, Daemon
from tests.support.sink import Sink
from tests.support.tools import need

TEXT = (ROOT / "docs/templates.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
STRICT = 'set -e\ncurl() { command curl --noproxy "*" --fail-with-body "$@"; echo; }\n'


def test_the_commands_work(tmp_path: Path) -> None:
    need("curl", "curl")
    (tmp_path / "welcome.html").write_text("<p>Welcome {{ name }}</p>")
    script = STRICT + "".join(BLOCKS).replace("python app.py", f"{sys.executable} {ROOT}/app.py")
    with Sink() as sink, Daemon(tmp_path, allow_private_hosts="on") as daemon:
        plain = {
            "smtp_host": "127.0.0.1",
            "smtp_port": sink.port,
            "use_tls": False,
            "username": None,
            "password": None,
        }
        daemon.post("/api/smtp-configs", CONFIG | plain)
        done = subprocess.run(
            ["bash", "-c", script.replace("http://127.0.0.1:5000", daemon.url)],
            cwd=tmp_path, capture_output=True, text=True, timeout=100, env=daemon.environment | {"KEY": KEY},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        preview = json.loads(done.stdout.splitlines()[1])
        assert preview["missing"] == ["order.number", "order.items"]
        sent = sink.wait_for(5)
    letters = b"".join(one.data for one in sent)
    assert letters.count(b'<h1 style="color: #0a5;">Hello Ann</h1>') == 3
    assert b"Subject: Welcome, Ann" in letters


def test_the_filters_that_are_left_out_are_named() -> None:
    from jinja2.filters import FILTERS as ALL

    left_out = set(ALL) - set(FILTERS)
    sentence = TEXT[TEXT.index("Jinja's filters are there but for") :].partition(";")[0]
    assert left_out == set(re.findall(r"`(\w+)`", sentence))
    assert set(SANDBOXES["html"].globals) == {"range", "namespace", "cycler", "joiner"}
