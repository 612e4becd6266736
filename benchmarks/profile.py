"""Where the CPU goes: microseconds per email and part, while the relay accepts, and while it drains a backlog.

    python -m benchmarks.profile [accepting] [draining] [--seconds 12] [--stacks FOLDER]

py-spy samples the stack that holds the interpreter's lock in the one worker process. Only one thread can at a time, so
a process gets through no more than one email in the sum of these times. A sample counts for the part of its innermost
frame that belongs to one. Beside it stands what the kernel has counted: user time without the lock, which SQLite and
the change of threads take, and time in the kernel, for sockets and files. All together make the CPU time per email.

The process is not stopped for a sample, for that would change which thread gets the lock next; the few stacks that
changed while they were read are taken to be like the others. Threads without the lock are not sampled, since their
state does not tell those that work from those that were only just woken. Stacks are kept as `FOLDER/accepting.raw`.
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
    "delivery loop": r"/workers/|/utils/hub\.py|/services/deliver\.py",
}
REST = "the rest"
BEYOND, KERNEL, ALL = "without the lock", "in the kernel", "all"
_PARTS = {name: re.compile(pattern) for name, pattern in PARTS.items()}


@dataclass(frozen=True, slots=True)
class Profile:
    """Microseconds per email. `parts`: with the interpreter's lock. `hottest`: the same by innermost frame."""

    emails: int
    parts: dict[str, float]
    beyond: float  # user time without it
    kernel: float
    hottest: list[tuple[float, str]]

    @property
    def lock(self) -> float:
        return sum(self.parts.values())

    @property
    def rows(self) -> dict[str, float]:
        return self.parts | {BEYOND: self.beyond, KERNEL: self.kernel}

    @property
    def cpu(self) -> float:
        return sum(self.rows.values())


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
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or "py-spy"
    command = [program, "record", "--nonblocking", "--gil", "--pid", str(worker.pid), "--duration", str(seconds),
               "--rate", str(RATE), "--format", "raw", "--full-filenames", "--nolineno",
               "--output", str(stacks)]  # fmt: skip
    before, first = worker.cpu_times(), count()
    done = subprocess.run(command, capture_output=True, text=True)
    after, last = worker.cpu_times(), count()
    if done.returncode:
        raise RuntimeError(f"py-spy: {done.stderr[-2000:]}")
    emails = last - first
    user, kernel = ((now - then) / emails * 1e6 for now, then in zip(after[:2], before[:2], strict=True))
    errors = re.search(r"Errors: (\d+)", done.stderr + done.stdout)
    return summed(stacks.read_text(), int(errors[1]) if errors else 0, emails, user, kernel)


def summed(raw: str, unread: int, emails: int, user: float, kernel: float) -> Profile:
    """`raw`: a line a stack, with the number of samples it was seen in; `unread` more could not be read."""
    parts: Counter[str] = Counter()
    leaves: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        if not count.isdigit():  # read while the stack changed: a name of anything, even with a line end
            unread += 1
            continue
        parts[part_of(stack)] += int(count)
        leaves[stack.rpartition(";")[2]] += int(count)
    sample = 1e6 / RATE / emails * (1 + unread / max(1, parts.total()))
    return Profile(
        emails,
        {name: parts[name] * sample for name in (*PARTS, REST)},
        max(0.0, user - parts.total() * sample),
        kernel,
        [(count * sample, frame) for frame, count in leaves.most_common(HOTTEST)],
    )


def measured(bench: Bench) -> None:
    """For the report."""
    seconds, folder = bench.sizes.profiled, bench.folder
    record(bench, "accepting", accepting(bench, seconds, folder / "accepting"))
    record(bench, "draining", draining(bench, seconds, folder / "draining", bench.sizes.profiled * 3_000))


def record(bench: Bench, load: str, profile: Profile) -> None:
    for name, micros in profile.rows.items():
        bench.record(f"cpu.{load}.{name}", micros)
    bench.record(f"cpu.{load}.{ALL}", profile.cpu)


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
        f"{load}: {profile.cpu:,.0f} µs of CPU an email, {profile.lock:,.0f} of them with the interpreter's lock;"
        f" {profile.emails:,} emails"
    )
    for name, micros in profile.rows.items():
        print(f"  {micros:8,.1f} µs  {name}")
    print("  innermost frames, with the lock:")
    for micros, frame in profile.hottest:
        print(f"  {micros:8,.1f} µs  {frame}")


if __name__ == "__main__":
    main()
