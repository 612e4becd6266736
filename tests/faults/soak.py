"""Mixed load and random faults for as long as wanted, then the sums: `make soak`, or by hand

python -m tests.faults.soak --minutes 30 --seed 1

Prints a table for docs/performance.md. Two processes serve and deliver. In the second half of the time no fault ends
them, and their memory and open files are measured each second: the medians of the first and the last quarter of the
longest life, after it has warmed up, must agree.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.faults.crowd import Crowd, Moody
from tests.faults.meter import WARM_UP, Meter
from tests.faults.trial import Trial
from tests.support.chaos import CONNECTIONS, Sums

GROWTH = 1.25  # of a process's median memory from the first quarter of its life to the last
MORE_FILES = 10
CALM = 0.5  # the share of the time, at its end, without a fault that ends a process
LEASE_SECONDS = 5
LIMITS = ({"weight": 5}, {"weight": 5, "hourly_limit": 2_000_000}, {"weight": 1, "hourly_limit": 300})
CUTS = (
    "kill -9",
    "stop and go on",
    "server restarts",
)  # faults that may leave an email undecided on each connection


class Soak:
    def __init__(self, folder: Path, minutes: float, seed: int) -> None:
        self._chance = random.Random(seed)
        self._end = time.monotonic() + minutes * 60
        self._calm = self._end - minutes * 60 * CALM
        self._sinks = [Moody(str(folder / "delivered.jsonl"), random.Random(seed + n)) for n in range(3)]
        self.trial = Trial(
            folder, sink=self._sinks[0], web_concurrency=2, lease_seconds=LEASE_SECONDS, max_retries=50
        )
        self.faults: Counter[str] = Counter()

    def run(self) -> tuple[Sums, Meter, Crowd]:
        trial = self.trial
        for sink in self._sinks[1:]:
            sink.__enter__()
        with trial:
            trial.daemon.start()
            configs = [
                self._add_config(sink, limits) for sink, limits in zip(self._sinks, LIMITS, strict=True)
            ]
            meter = Meter(trial.daemon)
            meter.start()
            with Crowd(trial.daemon, configs[:2], self._chance) as crowd:
                while time.monotonic() < self._end:
                    time.sleep(self._chance.uniform(1, 8))
                    self._strike()
            self._recover()
            trial.settle(900)
            meter.over.set()
            trial.daemon.stop()
            for sink in self._sinks[1:]:
                sink.close()
            sums = trial.count([one for one in crowd.accepted if one not in crowd.cancelled])
            cuts = sum(self.faults[name] for name in CUTS)
            sums.most_unknown = len(self._sinks) * CONNECTIONS * cuts
            return sums, meter, crowd

    def _add_config(self, sink: Moody, limits: dict[str, int]) -> int:
        return self.trial.daemon.add_config(
            sink.port, name=f"account-{sink.port}", max_connections=CONNECTIONS, **limits
        )

    def _strike(self) -> None:
        faults: dict[str, Callable[[], None]] = {
            "kill -9": self._kill, "stop and go on": self._stop, "server restarts": self._drop,
            "server refuses": self._refuse, "server is slow": self._slow, "clean restart": self._restart,
        }  # fmt: skip
        name = self._chance.choice(list(faults))
        if name in ("kill -9", "clean restart") and time.monotonic() > self._calm:
            return
        self.faults[name] += 1
        faults[name]()

    def _kill(self) -> None:
        self.trial.daemon.kill()
        self.trial.daemon.start(60)

    def _restart(self) -> None:
        self.trial.daemon.stop()
        self.trial.daemon.start(60)

    def _stop(self) -> None:
        """For longer than its lease, now and then: it is taken for dead then, and replaced."""
        victim = self._chance.choice(self.trial.daemon.workers())
        victim.send_signal(signal.SIGSTOP)
        longest = LEASE_SECONDS + 4 if time.monotonic() < self._calm else 2
        time.sleep(self._chance.choice([0.5, 1, longest]))
        victim.send_signal(signal.SIGCONT)

    def _drop(self) -> None:
        self._chance.choice(self._sinks).drop_connections()

    def _refuse(self) -> None:
        self._chance.choice(self._sinks).refusing = self._chance.choice([0.02, 0.5, 1.0])
        threading.Timer(5, self._recover).start()

    def _slow(self) -> None:
        self._chance.choice(self._sinks).delay = self._chance.choice([0.05, 0.5, 2.0])
        threading.Timer(5, self._recover).start()

    def _recover(self) -> None:
        for sink in self._sinks:
            sink.refusing = sink.delay = 0.0


def listed(counts: Counter[str]) -> str:
    return f"{counts.total():,} ({', '.join(f'{n:,} {kind}' for kind, n in counts.most_common())})"


def report(soak: Soak, sums: Sums, meter: Meter, crowd: Crowd, minutes: float) -> list[str]:
    """The table, and at its end what is wrong."""
    life = meter.longest
    memory, files = life.quarters(life.memory), life.quarters(life.files)
    rows = {
        "minutes of load": f"{minutes:g}",
        "emails accepted": listed(crowd.kinds),
        "faults": listed(soak.faults),
        "lost": str(len(sums.lost)),
        "doubled, of these without an `unknown` event": f"{len(sums.doubled)}, {len(sums.doubled_silently)}",
        "unknown (at most)": f"{sums.unknown} ({sums.most_unknown})",
        "longest life of a process": f"{len(life.memory) + WARM_UP:.0f} s",
        "memory, first and last quarter": f"{memory[0] / 1e6:.0f} MB, {memory[1] / 1e6:.0f} MB",
        "memory each minute, MB": ", ".join(f"{one / 1e6:.0f}" for one in life.memory[::60]),
        "open files, first and last quarter": f"{files[0]:.0f}, {files[1]:.0f}",
    }
    for name, value in rows.items():
        print(f"| {name} | {value} |")
    wrong = []
    if memory[1] > GROWTH * memory[0]:
        wrong.append(f"memory grew from {memory[0]:.0f} to {memory[1]:.0f}")
    if files[1] > files[0] + MORE_FILES:
        wrong.append(f"open files grew from {files[0]:.0f} to {files[1]:.0f}")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"soak: {options.minutes:g} minutes, --seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak = Soak(Path(folder), options.minutes, options.seed)
        sums, meter, crowd = soak.run()
        wrong = report(soak, sums, meter, crowd, options.minutes)
        print(sums.line("soak"))
        sums.check()
    if wrong:
        sys.exit("; ".join(wrong))


if __name__ == "__main__":
    main()
