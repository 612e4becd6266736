"""Three daemons on one PostgreSQL under load, and what becomes of the mail when each fails in its own way.

python -m tests.support.fleet --emails 20000

The one that leads is killed; another is stopped past its lease and woken; the third is cut off from the database and
let back. Beside the mail that any may send there is mail pinned to an account with an hourly limit.
"""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.chaos import Load, Sums, sink_process, sums, wait_until_quiet
from tests.support.cut import Wire
from tests.support.daemon import Daemon

LEASE_SECONDS = 3
CONNECTIONS = 6
LIMITED_CONNECTIONS = 2
LIMIT = 100
FAULTS = 3
FREE, PINNED = "smtp_config_id IS NULL", "smtp_config_id IS NOT NULL"


@dataclass
class Report:
    free: Sums
    limited: Sums
    peak: int
    limited_peak: int
    seconds: float
    leaders: list[int] = field(default_factory=list)

    def check(self) -> None:
        self.free.check()
        limited = self.limited
        assert limited.doubled_silently == [], limited
        assert limited.unknown <= limited.most_unknown, limited
        assert LIMIT - limited.unknown <= limited.delivered + len(limited.doubled) <= LIMIT, limited
        waiting = sum(limited.stuck.values())
        assert waiting == len(limited.lost), "what was not sent waits for the window"
        assert self.peak <= CONNECTIONS and self.limited_peak <= LIMITED_CONNECTIONS, self
        assert len(set(self.leaders)) == 2, "another has taken over"


class Fleet:
    """`one`, `two` and `three`; the third reaches the database over a wire that can be cut."""

    def __init__(self, folder: Path, url: str) -> None:
        self.wire, through = Wire.to(url)
        self.daemons = []
        for name in ("one", "two", "three"):
            place = folder / name
            place.mkdir()
            database = through if name == "three" else url
            self.daemons.append(Daemon(place, database_url=database, lease_seconds=LEASE_SECONDS))
        self.one = self.daemons[0]
        self.url = url

    @contextmanager
    def running(self) -> Iterator[Fleet]:
        with self.wire:
            try:
                for daemon in self.daemons:
                    daemon.start()
                yield self
            finally:
                for daemon in self.daemons:
                    if daemon.process is not None and daemon.process.poll() is None:
                        daemon.stop()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.daemons[0].query(sql)

    def leader(self) -> int:
        """The instance that leads, and lives."""
        found = wait_for(
            lambda: self.query("SELECT i.id FROM leaders l JOIN instances i ON i.id = l.instance_id")
        )
        return int(found[0][0])

    def daemon_of(self, instance_id: int) -> Daemon:
        ((pid,),) = self.query(f"SELECT pid FROM instances WHERE id = {instance_id}")
        return next(one for one in self.daemons if pid in [worker.pid for worker in one.workers()])


def wait_for(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("the condition did not come true in time")


def run(folder: Path, url: str, emails: int) -> Report:
    """All of it; `emails` is how many are to be accepted at least."""
    began = time.monotonic()
    logs = folder / "free.jsonl", folder / "limited.jsonl"
    with ExitStack() as stack:
        ports = [stack.enter_context(sink_process(log)) for log in logs]
        fleet = stack.enter_context(Fleet(folder, url).running())
        fleet.one.add_config(ports[0], max_connections=CONNECTIONS, max_messages_per_connection=1000)
        limited = fleet.one.add_config(
            ports[1], max_connections=LIMITED_CONNECTIONS, hourly_limit=LIMIT, weight=0
        )
        pinned = _pin(fleet.one, limited, 3 * LIMIT)
        leaders = [fleet.leader()]
        first = fleet.daemon_of(leaders[0])
        second = next(one for one in fleet.daemons[:2] if one is not first)
        loads = [stack.enter_context(Load(one.url, 3, {})) for one in fleet.daemons]

        def accepted() -> int:
            return sum(len(load.accepted) for load in loads)

        wait_for(lambda: accepted() > emails // 5, 300)
        first.kill()
        leaders.append(_another_leader(fleet, leaders[0]))
        first.start()
        wait_for(lambda: accepted() > 2 * emails // 5, 300)
        _stopped_past_its_lease(second)
        wait_for(lambda: accepted() > 3 * emails // 5, 300)
        _cut_off(fleet.wire)
        wait_for(lambda: accepted() > emails, 300)
        for load in loads:
            load.__exit__()
        wait_until_quiet(fleet.one, 300, among=FREE)
        time.sleep(1)
        return Report(
            free=_sums(fleet, [one for load in loads for one in load.accepted], logs[0], FREE, CONNECTIONS),
            limited=_sums(fleet, pinned, logs[1], PINNED, LIMITED_CONNECTIONS),
            peak=_peak(logs[0]),
            limited_peak=_peak(logs[1]),
            seconds=round(time.monotonic() - began, 1),
            leaders=leaders,
        )


def _pin(daemon: Daemon, config: int, count: int) -> list[int]:
    emails = [
        {
            "subject": f"p{n}",
            "recipients": [f"p{n}@example.com"],
            "text_content": "Hi",
            "smtp_config_id": config,
        }
        for n in range(count)
    ]
    results = daemon.post("/api/emails/batch", {"mode": "strict", "emails": emails})["results"]
    return [one["email_id"] for one in results]


def _another_leader(fleet: Fleet, former: int) -> int:
    return int(wait_for(lambda: (found := fleet.leader()) != former and found))


def _stopped_past_its_lease(daemon: Daemon) -> None:
    workers = daemon.workers()
    for one in workers:
        one.send_signal(signal.SIGSTOP)
    time.sleep(3 * LEASE_SECONDS)
    for one in workers:
        one.send_signal(signal.SIGCONT)


def _cut_off(wire: Wire) -> None:
    wire.cut()
    time.sleep(3 * LEASE_SECONDS)
    wire.mend()


def _sums(fleet: Fleet, accepted: list[int], log: Path, among: str, connections: int) -> Sums:
    found = sums(fleet.one, accepted, log, FAULTS, among)
    found.most_unknown = connections * FAULTS
    return found


def _peak(log: Path) -> int:
    return int(json.loads(log.read_text().splitlines()[-1])["peak"])


def main() -> None:
    from tests.support.postgres import Server

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--emails", type=int, default=20_000)
    options = parser.parse_args()
    server = Server()
    server.execute("CREATE DATABASE fleet")
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder), server.url("fleet"), options.emails)
        print(report.free.line("mail that any may send"))
        print(report.limited.line(f"pinned, {LIMIT} an hour: `lost` waits for the window"))
        print(
            f"most connections {report.peak} of {CONNECTIONS} and {report.limited_peak} of {LIMITED_CONNECTIONS};"
            f" leaders {report.leaders}; {report.seconds} s"
        )
        report.check()


if __name__ == "__main__":
    main()
