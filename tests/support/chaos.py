"""Load, faults, and the sums afterwards: what was accepted, delivered, lost, doubled, unknown.

python -m tests.support.chaos kill --faults 50          # kill -9 of the whole process group
python -m tests.support.chaos kill --faults 50 --hold   # emails that must rather wait than be sent twice
python -m tests.support.chaos stop --faults 10          # one of two processes stopped past its lease, then woken
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.support.daemon import KEY, ROOT, Daemon, free_port

CONNECTIONS = 5
WAITING = "state IN ('queued', 'sending', 'retry', 'scheduled')"


@dataclass
class Sums:
    faults: int
    accepted: int
    delivered: int
    lost: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    doubled_silently: list[int] = field(default_factory=list)  # without an `unknown` event
    unknown: int = 0
    most_unknown: int = 0  # connections x faults
    stuck: dict[str, int] = field(default_factory=dict)  # states that are not final at the end

    def line(self, name: str) -> str:
        """What a fault case prints."""
        return (
            f"{name}: accepted {self.accepted}, delivered {self.delivered}, lost {len(self.lost)},"
            f" doubled {len(self.doubled)} (silently {len(self.doubled_silently)}),"
            f" unknown {self.unknown} (at most {self.most_unknown})"
        )

    def check(self, *, hold: bool = False) -> None:
        assert self.accepted > 0 and self.delivered > 0
        assert self.lost == [], self
        assert self.doubled_silently == [], self
        assert self.unknown <= self.most_unknown, self
        assert not hold or self.doubled == [], self
        assert self.stuck == {}, self


class Load:
    """Threads that post emails for as long as they may, and know which were accepted: their 201 was read.

    `pause`: seconds of each thread after a post. Without, there is soon more than can be delivered in the meantime.
    """

    def __init__(self, url: str, threads: int, fields: dict[str, Any], pause: float = 0.0) -> None:
        self.accepted: list[int] = []
        self._url, self._fields, self._pause = url, fields, pause
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._post, args=(n,)) for n in range(threads)]

    def _post(self, number: int) -> None:
        session = requests.Session()
        session.trust_env = False
        session.headers["X-API-Key"] = KEY
        count = 0
        while not self._over.is_set():
            count += 1
            body = {
                "subject": f"{number}-{count}",
                "recipients": [f"{number}-{count}@example.com"],
                "text_content": "Hello",
                **self._fields,
            }
            try:
                answer = session.post(f"{self._url}/api/emails", json=body, timeout=10)
                if answer.status_code == 201:
                    self.accepted.append(answer.json()["email_id"])
                time.sleep(self._pause)
            except (requests.RequestException, ValueError):
                time.sleep(0.05)

    def __enter__(self) -> Load:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        for one in self._threads:
            one.join()


@contextmanager
def sink_process(log: Path) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "tests.support.sink", "--port", str(port), "--log", str(log)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def wait_for_port(port: int) -> None:
    import socket

    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the sink did not start")


def query(daemon: Daemon, sql: str) -> list[tuple[Any, ...]]:
    return daemon.query(sql)


def wait_until_quiet(daemon: Daemon, seconds: float = 240.0, among: str = "1 = 1") -> None:
    """Until nothing waits. An email that met a fault twice waits two minutes before its next try."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not query(daemon, f"SELECT 1 FROM emails WHERE {WAITING} AND {among} LIMIT 1"):
            return
        time.sleep(0.2)


def sums(daemon: Daemon, accepted: list[int], log: Path, faults: int, among: str = "1 = 1") -> Sums:
    """`among`: the emails that this is about, as a condition on their table."""
    ids = {
        message_id: email_id
        for email_id, message_id in query(daemon, f"SELECT id, message_id FROM emails WHERE {among}")
    }
    delivered = Counter(ids[json.loads(line)["message_id"]] for line in log.read_text().splitlines())
    unknown = query(
        daemon,
        "SELECT email_id FROM events WHERE type = 'unknown'"
        f" AND email_id IN (SELECT id FROM emails WHERE {among})",
    )
    held = {
        email_id
        for (email_id,) in query(daemon, f"SELECT id FROM emails WHERE state = 'unknown' AND {among}")
    }
    doubled = sorted(email_id for email_id, count in delivered.items() if count > 1)
    waiting = query(daemon, f"SELECT state, count(*) FROM emails WHERE {WAITING} AND {among} GROUP BY 1")
    return Sums(
        faults=faults,
        accepted=len(accepted),
        delivered=len(delivered),
        lost=sorted(set(accepted) - set(delivered) - held),
        doubled=doubled,
        doubled_silently=[one for one in doubled if (one,) not in unknown],
        unknown=len(unknown),
        most_unknown=CONNECTIONS * faults,
        stuck=dict(waiting),
    )


def kill(folder: Path, faults: int, *, hold: bool = False, seed: int | None = None) -> Sums:
    """kill -9 of the daemon's process group at random moments under load, and a restart, `faults` times."""
    chance = random.Random(seed)
    log = folder / "delivered.jsonl"
    daemon = Daemon(folder, queue_workers=4)
    with sink_process(log) as port:
        daemon.start()
        daemon.add_config(port, max_connections=CONNECTIONS)
        with Load(daemon.url, 6, {"on_unknown": "hold"} if hold else {}) as load:
            for _ in range(faults):
                time.sleep(chance.uniform(0.2, 1.5))
                daemon.kill()
                daemon.start()
            time.sleep(0.5)
        wait_until_quiet(daemon)
        daemon.stop()
        return sums(daemon, load.accepted, log, faults)


def stop(folder: Path, faults: int, *, hold: bool = False, seed: int | None = None) -> Sums:
    """One of two processes is stopped for longer than its lease, then woken, `faults` times."""
    chance = random.Random(seed)
    log = folder / "delivered.jsonl"
    daemon = Daemon(folder, queue_workers=4, web_concurrency=2, lease_seconds=2)
    with sink_process(log) as port:
        daemon.start()
        daemon.add_config(port, max_connections=CONNECTIONS)
        with Load(daemon.url, 6, {"on_unknown": "hold"} if hold else {}) as load:
            for _ in range(faults):
                time.sleep(chance.uniform(0.5, 1.5))
                victim = chance.choice(daemon.workers())
                victim.send_signal(signal.SIGSTOP)
                time.sleep(6)
                victim.send_signal(signal.SIGCONT)
            time.sleep(1)
        wait_until_quiet(daemon)
        daemon.stop()
        return sums(daemon, load.accepted, log, faults)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fault", choices=["kill", "stop"])
    parser.add_argument("--faults", type=int, default=5)
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = kill if options.fault == "kill" else stop
        result = run(Path(folder), options.faults, hold=options.hold, seed=options.seed)
        print(json.dumps(vars(result), indent=1))
        result.check(hold=options.hold)


if __name__ == "__main__":
    main()
