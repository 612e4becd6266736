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
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s"]
    done = subprocess.run(
        [*command, "-s", str(ROOT / "benchmarks" / "post.lua"), url],
        env={"PATH": os.environ["PATH"], "BODIES": str(bodies), "API_KEY": KEY},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    if answer["refused"] or answer["broken"] or not answer["requests"]:
        raise RuntimeError(f"wrk on {url}: {answer}")
    return Posted(answer["requests"], answer["seconds"], answer["p50_ms"], answer["p99_ms"])
