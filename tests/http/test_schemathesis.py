"""The description of the API against the API itself: nothing undocumented, no accident, whatever is sent."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from apiflask import APIFlask
from werkzeug.serving import make_server

from services.principal import Scope
from tests.support.app import MASTER_KEY, new_key
from tests.support.database import POSTGRESQL

# A relay that is not ready says so with a 503, which is no accident.
CONFIG = """
[[operations]]
include-name = "GET /ready"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 503]
"""


@contextmanager
def served(app: APIFlask) -> Iterator[str]:
    """No mail is delivered here: hosts and addresses are made up."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("who", "examples"), [("service", 8 if POSTGRESQL else 40), ("tenant", 8)])
def test_the_api_keeps_to_its_description(app: APIFlask, tmp_path: Path, who: str, examples: int) -> None:
    key = MASTER_KEY if who == "service" else new_key("tenant-a", Scope.ADMIN)
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    program = Path(sys.executable).with_name("schemathesis")
    with served(app) as url:
        done = subprocess.run(
            [
                str(program), "run", f"{url}/openapi.json", "-H", f"X-API-Key: {key}", "--checks", "all",
                "--exclude-checks", "positive_data_acceptance", "--max-examples", str(examples), "--no-color",
                "--generation-database", "none", "--seed", "1",
            ],
            cwd=tmp_path, capture_output=True, text=True, timeout=400,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6_000:]
    assert "Operations:" in done.stdout
