"""Where the CPU goes: microseconds per email and part, while the relay accepts, and while it drains a backlog.

    python -m benchmarks.profile [accepting] [draining] [--seconds 12] [--stacks FOLDER]

py-spy samples the stacks of the one worker process, without stopping it; a sample counts for the part of its innermost
frame that belongs to one. There are two figures for each part:

- cpu: its share of the samples of threads that were running or about to, times the CPU time that the kernel has counted
  for the process. Threads that wait for a core count too, so that what wakes up often looks larger on a busy machine.
- lock: the time it held the interpreter's lock, which only one thread can at a time. One process can deliver no more
  than one email in the sum of these.

Stacks are kept as `FOLDER/accepting.cpu.raw` and `.lock.raw`, for flame graphs.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import wrk
from benchmarks.bench import Bench, Sizes
from benchmarks.daemon import accepted, relay
from benchmarks.loads.backlog import fill
from benchmarks.loads.stream import single_bodies
from benchmarks.sink import sink
from tests.support.daemon import Daemon

RATE = 250  # samples a second
HOTTEST = 25
KINDS: dict[str, list[str]] = {"cpu": [], "lock": ["--gil"]}
MARGIN = 2  # seconds of load around what is sampled

# Asked from the innermost frame outwards; frames read `function (/path/file.py:line)`.
PARTS = {
    "SMTP": r"/services/smtp/|/workers/connections\.py|/services/outcome\.py|/services/judgement\.py",
    "MIME": r"/utils/mime|/utils/html_t|/services/(compose|prepare)\.py|/email/[a-z_]+\.py",
    "storage": r"/models/|peewee|/playhouse/|insert \(.*/services/submission\.py|/utils/filelock\.py"
    r"|/services/(claim|record|settle|delivered|quota|health|routing|readiness|switches|leased)\.py",
    "validation": r"pydantic|/controllers/schemas/|/controllers/bodies\.py|/utils/addresses\.py|email_validator"
    r"|/services/(submission|message_size)\.py",
    "logs": r"/logging/|/utils/logs\.py",
    "HTTP": r"gunicorn|/werkzeug/|/flask/|/apiflask/|/controllers/|/concurrent/futures/|/http/",
    "delivery loop": r"/workers/|/services/deliver\.py",
}
REST = "the rest"
_PARTS = {name: re.compile(pattern) for name, pattern in PARTS.items()}


@dataclass(frozen=True, slots=True)
class Profile:
    """Microseconds per email: `cpu` as the kernel counts it, in all and of it in the kernel; `parts`: cpu and lock.
    `hottest`: (microseconds holding the lock, innermost frame)."""

    emails: int
    cpu: float
    kernel: float
    parts: dict[str, tuple[float, float]]
    hottest: list[tuple[float, str]]

    @property
    def lock(self) -> float:
        return sum(lock for _, lock in self.parts.values())


def part_of(stack: str) -> str:
    """`stack` as py-spy's raw format has it: frames from the outermost, with semicolons."""
    for frame in reversed(stack.split(";")):
        for name, pattern in _PARTS.items():
            if pattern.search(frame):
                return name
    return REST


def accepting(bench: Bench, seconds: int, stacks: Path) -> Profile:
    with sink(bench.folder) as target, relay(bench.folder, target, web_concurrency=1) as daemon:
        daemon.post("/api/queue/pause")
        with _posting(bench, daemon, seconds + 2 * MARGIN):
            time.sleep(MARGIN)
            return _sampled(daemon, seconds, stacks, lambda: accepted(daemon))


def draining(bench: Bench, seconds: int, stacks: Path, backlog: int) -> Profile:
    """For `seconds`, or as long as the backlog lasts."""
    with sink(bench.folder) as target, relay(bench.folder, target, web_concurrency=1) as daemon:
        fill(daemon, backlog)
        daemon.post("/api/queue/resume")
        time.sleep(MARGIN)
        pace = target.count() / MARGIN
        lasts = (backlog - target.count()) / max(pace, 1) - MARGIN
        if lasts < 1:
            raise RuntimeError(f"a backlog of {backlog:,} is too short to be sampled at {pace:,.0f} emails/s")
        profile = _sampled(daemon, min(seconds, int(lasts)), stacks, target.count)
        daemon.post("/api/queue/pause")
        return profile


@contextmanager
def _posting(bench: Bench, daemon: Daemon, seconds: int) -> Iterator[None]:
    process = wrk.start(
        f"{daemon.url}/api/emails", single_bodies(bench.folder), connections=16, seconds=seconds
    )
    try:
        yield
    finally:
        wrk.result(process)


def _sampled(daemon: Daemon, seconds: int, stacks: Path, count: Callable[[], int]) -> Profile:
    (worker,) = daemon.workers()
    before, first = worker.cpu_times(), count()
    samplers = {
        kind: _sampler(worker.pid, seconds, stacks.with_suffix(f".{kind}.raw"), kind) for kind in KINDS
    }
    for process in samplers.values():
        _, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(f"py-spy: {errors[-2000:]}")
    after, last = worker.cpu_times(), count()
    running, holding = (_samples(stacks.with_suffix(f".{kind}.raw")) for kind in KINDS)
    emails = last - first
    kernel = (after.system - before.system) / emails * 1e6
    return summed(running, holding, emails, (after.user - before.user) / emails * 1e6 + kernel, kernel)


def _sampler(pid: int, seconds: int, output: Path, kind: str) -> subprocess.Popen[str]:
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or "py-spy"
    command = [program, "record", "--nonblocking", "--pid", str(pid), "--duration", str(seconds), "--rate", str(RATE),
               "--format", "raw", "--full-filenames", "--nolineno", "--output", str(output), *KINDS[kind]]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _samples(raw: Path) -> Counter[str]:
    """stack → how often it was seen."""
    samples: Counter[str] = Counter()
    for line in raw.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        samples[stack] += int(count)
    return samples


def summed(running: Counter[str], holding: Counter[str], emails: int, cpu: float, kernel: float) -> Profile:
    per_sample = (cpu / max(1, running.total()), 1e6 / RATE / emails)
    parts = {name: [0.0, 0.0] for name in (*PARTS, REST)}
    leaves: Counter[str] = Counter()
    for column, samples in enumerate((running, holding)):
        for stack, count in samples.items():
            parts[part_of(stack)][column] += count * per_sample[column]
    for stack, count in holding.items():
        leaves[stack.rpartition(";")[2]] += count
    return Profile(
        emails, cpu, kernel, {name: (one, other) for name, (one, other) in parts.items()},
        [(count * per_sample[1], frame) for frame, count in leaves.most_common(HOTTEST)],
    )  # fmt: skip


def measured(bench: Bench) -> None:
    """For the report."""
    seconds, folder = bench.sizes.profiled, bench.folder
    record(bench, "accepting", accepting(bench, seconds, folder / "accepting"))
    record(bench, "draining", draining(bench, seconds, folder / "draining", bench.sizes.profiled * 3_000))


def record(bench: Bench, load: str, profile: Profile) -> None:
    bench.record(f"cpu.{load}", profile.cpu)
    for name, (cpu, lock) in profile.parts.items():
        bench.record(f"cpu.{load}.{name}", cpu)
        bench.record(f"lock.{load}.{name}", lock)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.profile", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("loads", nargs="*", default=["accepting", "draining"])
    parser.add_argument("--seconds", type=int, default=12)
    parser.add_argument("--backlog", type=int, default=40_000)
    parser.add_argument("--stacks", type=Path, help="keep the stacks here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        Path(folder).chmod(0o755)
        bench = Bench(Path(folder), Sizes())
        kept = options.stacks or Path(folder)
        kept.mkdir(exist_ok=True)
        for load in options.loads:
            if load == "accepting":
                show(load, accepting(bench, options.seconds, kept / load))
            elif load == "draining":
                show(load, draining(bench, options.seconds, kept / load, options.backlog))
            else:
                parser.error(f"no load is named {load}; there are accepting and draining")


def show(load: str, profile: Profile) -> None:
    print(
        f"{load}: {profile.cpu:,.0f} µs of CPU an email, {profile.kernel:,.0f} of them in the kernel;"
        f" {profile.lock:,.0f} µs with the interpreter's lock; {profile.emails:,} emails"
    )
    print(f"  {'':14} {'cpu':>9} {'lock':>9}")
    for name, (cpu, lock) in profile.parts.items():
        print(f"  {name:14} {cpu:6,.0f} µs {lock:6,.0f} µs")
    print("  innermost frames, with the lock:")
    for micros, frame in profile.hottest:
        print(f"    {micros:6,.1f} µs  {frame}")


if __name__ == "__main__":
    main()
