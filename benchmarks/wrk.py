"""wrk: posts prepared bodies over kept connections, as many as the server answers."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT
from tests.support.daemon import KEY


@dataclass(frozen=True, slots=True)
class Posted:
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def post(url: str, bodies: Path, *, connections: int, seconds: int) -> Posted:
    """RuntimeError when a request was refused or broke: such a figure would be worth nothing."""
    return result(start(url, bodies, connections=connections, seconds=seconds))


def start(url: str, bodies: Path, *, connections: int, seconds: int) -> subprocess.Popen[str]:
    """One thread: the relay and what it is compared with need the cores more."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s"]
    return subprocess.Popen(
        [*command, "-s", str(ROOT / "benchmarks" / "post.lua"), url],
        env={"PATH": os.environ["PATH"], "BODIES": str(bodies), "API_KEY": KEY},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def result(process: subprocess.Popen[str]) -> Posted:
    """Waits for the end. RuntimeError as for `post`."""
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"wrk: {output[-2000:]}")
    answer = json.loads(output.strip().splitlines()[-1])
    if answer["refused"] or answer["broken"] or not answer["requests"]:
        raise RuntimeError(f"wrk: {answer}")
    return Posted(answer["requests"], answer["seconds"], answer["p50_ms"], answer["p99_ms"])
