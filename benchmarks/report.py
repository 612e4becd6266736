"""A run's report: printed, and between the markers of docs/performance.md, with raw figures and a plot beside it."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.daemon import about_daemon
from benchmarks.processes import ROOT
from benchmarks.tables import tables

DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- benchmark: written by `make bench` -->", "<!-- end of benchmark -->"
IMAGE = "![Emails per second, the relay beside its references](performance.svg)"


@dataclass(frozen=True, slots=True)
class Run:
    command: str
    date: str
    commit: str
    machine: str
    parts: list[str]
    sizes: dict[str, object]
    figures: dict[str, list[float]]
    failures: list[str]

    @classmethod
    def of(cls, bench: Bench, names: list[str], arguments: list[str]) -> Run:
        return cls(
            command=" ".join(["python -m benchmarks", *arguments]),
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            commit=_said_by("git", "-C", str(ROOT), "describe", "--always", "--dirty") or "unknown",
            machine=_machine(),
            parts=names,
            sizes=asdict(bench.sizes),
            figures=dict(bench.figures),
            failures=bench.failures,
        )


def _said_by(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _machine() -> str:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = model[1] if model else platform.machine()
    return (
        f"{os.cpu_count()} cores ({name}), {memory:.0f} GB, Linux {platform.release()},"
        f" Python {platform.python_version()}"
    )


def as_text(run: Run) -> str:
    failures = "".join(f"**Not measured:** {one}\n\n" for one in run.failures)
    return (
        f"`{run.command}`, {run.date}, commit {run.commit}. {run.machine}.\n"
        f"Accepts and claims are fsynced (`synchronous=FULL`). {about_daemon()}.\n\n"
        f"{failures}{tables(run.figures)}\n"
    )


def write(run: Run) -> None:
    from benchmarks import plot  # matplotlib takes a second to load

    DOCUMENT.with_suffix(".json").write_text(json.dumps(asdict(run), indent=1) + "\n")
    plot.draw(run.figures, DOCUMENT.with_suffix(".svg"))
    before, rest = DOCUMENT.read_text().split(BEGIN)
    after = rest.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{as_text(run)}\n{IMAGE}\n\n{END}{after}")
