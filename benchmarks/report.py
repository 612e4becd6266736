"""The run as a table with ratios: printed, and between the markers of docs/performance.md, with its raw figures."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.daemon import DIFFERENCES
from benchmarks.processes import ROOT
from benchmarks.targets import LABELS, OTHERS, TARGETS, Target

DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- benchmark: written by `make bench` -->", "<!-- end of benchmark -->"


@dataclass(frozen=True, slots=True)
class Run:
    command: str
    date: str
    commit: str
    machine: str
    parts: list[str]
    sizes: dict[str, object]
    figures: dict[str, list[float]]

    @classmethod
    def of(cls, bench: Bench, names: list[str], arguments: list[str]) -> Run:
        words = [word for word in arguments if word != "--write"]
        return cls(
            command=" ".join(["python -m benchmarks", *words]),
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            commit=_said_by("git", "-C", str(ROOT), "describe", "--always", "--dirty") or "unknown",
            machine=_machine(),
            parts=names,
            sizes=asdict(bench.sizes),
            figures={**bench.figures, "one": [1.0]},
        )

    def ratios(self, targets: list[Target]) -> Iterator[tuple[Target, list[float]]]:
        """Those of which both sides were measured, pair by pair; a side measured once stands against each."""
        for target in targets:
            left, right = self.figures.get(target.of), self.figures.get(target.to)
            if left and right:
                count = max(len(left), len(right))
                pairs = zip(_stretched(left, count), _stretched(right, count), strict=True)
                yield target, [target.compare(*pair) for pair in pairs]


def _stretched(values: list[float], count: int) -> list[float]:
    return values if len(values) == count else [statistics.median(values)] * count


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


def table(run: Run) -> str:
    """Markdown."""
    lines = ["| | aimed at | median | min to max | |", "| --- | --- | --- | --- | --- |"]
    for target, values in run.ratios(TARGETS):
        value = statistics.median(values)
        verdict = "met" if target.met(value) else "**missed**"
        lines.append(f"| {target.what} | {target.aim} | {_number(value)} | {_spread(values)} | {verdict} |")
    for target, values in run.ratios(OTHERS):
        lines.append(f"| {target.what} | | {_number(statistics.median(values))} | {_spread(values)} | |")
    lines += ["", "| figure | median | min to max | unit |", "| --- | --- | --- | --- |"]
    for key, (label, unit) in LABELS.items():
        if values := run.figures.get(key):
            lines.append(f"| {label} | {_number(statistics.median(values))} | {_spread(values)} | {unit} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    return f"{_number(min(values))} to {_number(max(values))}" if len(values) > 1 else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def as_text(run: Run) -> str:
    return (
        f"`{run.command}`, {run.date}, commit {run.commit}.\n{run.machine}.\n"
        f"Accepts and claims fsynced (`synchronous=FULL`); {DIFFERENCES}.\n\n{table(run)}\n"
    )


def write(run: Run) -> None:
    """docs/performance.md between its markers, and the raw figures and the plot beside it."""
    from benchmarks import plot  # matplotlib takes a second to load

    DOCUMENT.with_suffix(".json").write_text(json.dumps(asdict(run), indent=1) + "\n")
    plot.draw(run, DOCUMENT.with_suffix(".svg"))
    image = "![Emails per second, the relay beside its references](performance.svg)"
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{as_text(run)}\n{image}\n\n{END}{after}")
