"""A bare Flask application under the relay's own gunicorn settings: read the JSON, answer a small one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from flask import Flask, request

from benchmarks import wrk
from benchmarks.bench import Bench
from benchmarks.daemon import defaults
from benchmarks.loads.stream import single_bodies
from benchmarks.processes import ROOT, running, wait_for_port
from tests.support.daemon import Daemon

COMMAND = [
    sys.executable,
    "-m",
    "gunicorn",
    "-c",
    str(ROOT / "benchmarks" / "references" / "gunicorn_conf.py"),
]


def create_app() -> Flask:
    app = Flask("echo")

    @app.post("/api/emails")
    def echo() -> Any:
        body = request.get_json()
        return {"message": "Email created and queued successfully", "email_id": len(body["subject"])}, 201

    return app


def environment(bench: Bench, **more: str) -> tuple[int, dict[str, str]]:
    """(port, environment) in which gunicorn's settings are those of a relay with its defaults."""
    daemon = Daemon(Path(mkdtemp(dir=bench.folder)), **defaults())
    return daemon.port, {**daemon.environment, "PATH": os.environ["PATH"], **more}


def echo(bench: Bench) -> None:
    port, env = environment(bench)
    command = [*COMMAND, "benchmarks.references.echo:create_app()"]
    with running(command, bench.folder / "echo.log", env=env):
        wait_for_port(port)
        posted = wrk.post(
            f"http://127.0.0.1:{port}/api/emails", single_bodies(bench.folder),
            connections=16, seconds=bench.sizes.accepting,
        )  # fmt: skip
    bench.record("echo", posted.rate)
