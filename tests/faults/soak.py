"""Mixed load and random faults for as long as wanted, then the sums: `make soak`, or by hand

python -m tests.faults.soak --minutes 30 --seed 1

Prints a table for docs/performance.md. Two processes serve and deliver. In the second half of the time no fault ends
them, and their memory and open files are measured each second: the medians of the first and the last quarter of the
longest life, after it has warmed up, must agree.
"""

from __future__ import annotations

import argparse
import base64
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.faults.trial import Trial
from tests.support.chaos import CONNECTIONS, Sums
from tests.support.daemon import KEY
from tests.support.sink import LoggingSink, Message

HTML = "<h1>Hello</h1><p>" + "A sentence with a <a href='https://example.com/x'>link</a>. " * 30 + "</p>"
PNG = base64.b64encode(random.Random(1).randbytes(20_000)).decode()
WARM_UP = 15.0  # seconds in which a new process takes what it needs
GROWTH = 1.25  # of a process's median memory from the first quarter of its life to the last
MORE_FILES = 10
CALM = 0.5  # the share of the time, at its end, without a fault that ends a process
LEASE_SECONDS = 5


@dataclass
class Life:
    """What one worker process used, each second."""

    began: float
    memory: list[int] = field(default_factory=list)  # bytes resident
    files: list[int] = field(default_factory=list)

    def quarters(self, values: list[int]) -> tuple[float, float]:
        quarter = max(1, len(values) // 4)
        return statistics.median(values[:quarter]), statistics.median(values[-quarter:])


class Meter(threading.Thread):
    def __init__(self, trial: Trial) -> None:
        super().__init__(daemon=True)
        self._trial = trial
        self.lives: dict[int, Life] = {}
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(1.0):
            try:
                for worker in self._trial.daemon.workers():
                    life = self.lives.setdefault(worker.pid, Life(time.monotonic()))
                    if time.monotonic() - life.began > WARM_UP:
                        life.memory.append(worker.memory_info().rss)
                        life.files.append(worker.num_fds())
            except (psutil.Error, AssertionError):
                continue

    @property
    def longest(self) -> Life:
        return max(self.lives.values(), key=lambda one: len(one.memory))


class Crowd:
    """Clients that post all sorts of mail, and keep count of what was accepted and what was cancelled."""

    def __init__(self, trial: Trial, configs: list[int], chance: random.Random) -> None:
        self._trial, self._configs, self._chance = trial, configs, chance
        self._number = 0
        self._lock = threading.Lock()
        self.accepted: list[int] = []
        self.cancelled: set[int] = set()
        self.kinds: Counter[str] = Counter()
        self.over = threading.Event()
        self._threads = [threading.Thread(target=self._post, args=(n,), daemon=True) for n in range(3)]

    def __enter__(self) -> Crowd:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.over.set()
        for one in self._threads:
            one.join(60)

    def _email(self, **fields: Any) -> dict[str, Any]:
        with self._lock:
            self._number += 1
            number = self._number
        return {
            "subject": f"Mail {number}",
            "recipients": [f"r{number}@example.com"],
            "html_content": HTML,
            **fields,
        }

    def _sorts(self) -> dict[str, Callable[[], tuple[str, Any]]]:
        one = "/api/emails"
        soon = (datetime.now(UTC) + timedelta(seconds=self._chance.uniform(1, 20))).isoformat()
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        file = {"filename": "logo.png", "content_type": "image/png", "content": PNG}
        crowd = [f"c{n}-{self._number}@example.com" for n in range(20)]
        return {
            "single": lambda: (one, self._email()),
            "pinned": lambda: (one, self._email(smtp_config_id=self._chance.choice(self._configs))),
            "batch": lambda: (
                f"{one}/batch",
                {"mode": "strict", "emails": [self._email() for _ in range(20)]},
            ),
            "attachment": lambda: (one, self._email(attachments=[file])),
            "20 recipients": lambda: (one, self._email(recipients=crowd)),
            "scheduled": lambda: (one, self._email(send_at=soon)),
            "cancelled": lambda: (one, self._email(send_at=tomorrow)),
            "put off by the server": lambda: (
                one,
                self._email(recipients=[f"later{self._number}@example.com"]),
            ),
        }

    def _post(self, number: int) -> None:
        session = requests.Session()
        session.trust_env = False
        session.headers["X-API-Key"] = KEY
        while not self.over.is_set():
            sorts = self._sorts()
            kind = self._chance.choice(list(sorts))
            path, body = sorts[kind]()
            try:
                answer = session.post(self._trial.daemon.url + path, json=body, timeout=20)
                if answer.ok:
                    self._note(session, kind, answer.json())
            except (requests.RequestException, ValueError):
                time.sleep(0.2)
            time.sleep(self._chance.uniform(0.0, 0.1))

    def _note(self, session: requests.Session, kind: str, said: dict[str, Any]) -> None:
        ids = [one["email_id"] for one in said["results"]] if "results" in said else [said["email_id"]]
        self.accepted += ids
        self.kinds[kind] += len(ids)
        if kind == "cancelled":
            self.cancelled.update(ids)  # asked for, whether or not the answer comes: it is for tomorrow
            session.post(f"{self._trial.daemon.url}/api/emails/{ids[0]}/cancel", timeout=20)


class Moody(LoggingSink):
    """Puts off some mail once, and has its bad days."""

    def __init__(self, path: str, chance: random.Random) -> None:
        super().__init__(path)
        self._chance = chance
        self.refusing = 0.0  # the share of sessions that it ends with a 421
        self.hooks.on_rcpt = self._later
        self.hooks.on_connect = lambda: "421 4.3.2 not now" if self._is_refusing() else None
        self.hooks.on_mail = lambda sender: "421 4.7.0 enough for now" if self._is_refusing() else None
        self.hooks.on_data = self._deferred
        self._seen: set[str] = set()

    def _is_refusing(self) -> bool:
        return self._chance.random() < self.refusing

    def _later(self, recipient: str) -> str | None:
        if recipient.startswith("later") and recipient not in self._seen:
            self._seen.add(recipient)
            return "450 4.2.0 try again in 1 second"
        return None

    def _deferred(self, message: Message) -> str | None:
        return "451 4.3.0 try again later" if self._chance.random() < 0.002 else None


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
                trial.daemon.add_config(sink.port, name=f"account-{n}", max_connections=CONNECTIONS, **limits)
                for n, (sink, limits) in enumerate(
                    zip(
                        self._sinks,
                        (
                            {"weight": 5},
                            {"weight": 5, "hourly_limit": 100_000},
                            {"hourly_limit": 300, "weight": 1},
                        ),
                        strict=True,
                    )
                )
            ]
            meter = Meter(trial)
            meter.start()
            with Crowd(trial, configs[:2], self._chance) as crowd:
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
            sums.most_unknown = len(self._sinks) * CONNECTIONS * sum(self.faults.values())
            return sums, meter, crowd

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
