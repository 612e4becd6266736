"""Schemathesis: the description of the API against the API itself."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apiflask import APIFlask
from werkzeug.serving import WSGIRequestHandler, make_server

# What belongs to a user: others are refused it, whatever they send.
OF_A_USER = ("Accounts", "Sync", "Folders", "Messages", "Attachments", "Compose")
# A relay that is not ready says so with a 503, which is no accident.
CONFIG = """
[[operations]]
include-name = "GET /ready"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 503]
"""


class _Silent(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """There are thousands of requests."""


@contextmanager
def served(app: APIFlask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def explore(
    app: APIFlask, folder: Path, key: str, examples: int, *options: str, description: str = ""
) -> None:
    """Call every operation with what its description allows and with what it forbids, and judge the answers.

    `examples`: most calls of one kind. `description`: a file with it, else the app's own.
    """
    (folder / "schemathesis.toml").write_text(CONFIG)
    program = Path(sys.executable).with_name("schemathesis")
    with served(app) as url:
        done = subprocess.run(
            [
                str(program), "run", description or f"{url}/openapi.json", "--url", url, "-H", f"X-API-Key: {key}",
                "--checks", "all", "--exclude-checks", "positive_data_acceptance", "--max-examples", str(examples),
                "--no-color", "--generation-database", "none", "--seed", "1", *options,
            ],
            cwd=folder, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-9_000:]
    assert "Operations:" in done.stdout
