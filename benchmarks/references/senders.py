"""References that send the relay's own bytes: smtp-source straight to the sink, and a plain smtplib script."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import mail
from benchmarks.bench import SENDER, Bench
from benchmarks.daemon import relay
from benchmarks.processes import ROOT
from benchmarks.sink import sink

SESSIONS = 20


def message(bench: Bench, name: str = "message", **options: Any) -> Path:
    """A file with the message that the relay makes of such an email, as it goes over the wire."""
    path = bench.folder / f"{name}.eml"
    if not path.exists():
        with sink(bench.folder) as target, relay(bench.folder, target) as daemon:
            email_id = daemon.post("/api/emails", mail.body(7, unique=False, **options))["email_id"]
            path.write_bytes(daemon.http.get(f"{daemon.url}/api/emails/{email_id}/raw").content)
    return path


def smtp_source(port: int, data: Path, count: int, recipients: int = 1) -> None:
    """Sends over 20 kept connections; returns when all are answered. The file has line ends of its own making."""
    lines = data.with_suffix(".lf")
    lines.write_bytes(data.read_bytes().replace(b"\r\n", b"\n"))
    subprocess.run(
        ["smtp-source", "-d", "-s", str(SESSIONS), "-m", str(count), "-r", str(recipients), "-F", str(lines),
         "-f", SENDER, "-t", "customer@example.com", f"127.0.0.1:{port}"],
        check=True, capture_output=True,
    )  # fmt: skip


def limit(bench: Bench) -> None:
    """Nothing in between."""
    data = message(bench)
    with sink(bench.folder) as target:
        began = time.time()
        smtp_source(target.port, data, bench.sizes.messages)
        bench.record("limit", bench.sizes.messages / (target.wait_for(bench.sizes.messages) - began))


def smtplib_loop(bench: Bench) -> None:
    data = message(bench)
    with sink(bench.folder) as target:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.references.smtplib_loop", str(target.port), str(data),
             str(bench.sizes.messages)],
            cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
        target.wait_for(bench.sizes.messages)
    bench.record("smtplib", bench.sizes.messages / float(done.stdout))
