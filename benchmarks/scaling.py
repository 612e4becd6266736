"""One box or several: what SQLite and PostgreSQL give, with one, two and three daemons, for docs/scaling.md.

python -m benchmarks.scaling

PostgreSQL comes from the wheel, on the same disk and machine as the daemons, with its own default durability (fsync
on). All of it shares one machine's cores: the figures show what a daemon costs, not what more machines would give.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import mail, wrk
from benchmarks.daemon import CONNECTIONS, MESSAGES_PER_CONNECTION
from benchmarks.loads.backlog import fill
from benchmarks.sink import Sink, sink
from tests.support.daemon import Daemon
from tests.support.postgres import Server

CLIENTS = 16


@contextmanager
def daemons(folder: Path, count: int, target: Sink, server: Server | None) -> Iterator[list[Daemon]]:
    """On a database of their own. The wheel's server is one of tests: it may trust loopback."""
    settings: dict[str, str] = {}
    if server is not None:
        name = f"scaling_{time.monotonic_ns()}"
        server.execute(f"CREATE DATABASE {name}")
        settings["database_url"] = server.url(name)
    with ExitStack() as stack:
        made = []
        for _ in range(count):
            home = Path(tempfile.mkdtemp(dir=folder))
            made.append(stack.enter_context(Daemon(home, min_free_mb=200, **settings)))
        made[0].add_config(
            target.port, max_connections=CONNECTIONS, max_messages_per_connection=MESSAGES_PER_CONNECTION
        )
        yield made


def accepting(folder: Path, count: int, server: Server | None, bodies: Path, seconds: int) -> float:
    """Single emails a second, the queue at rest."""
    with sink(folder) as target, daemons(folder, count, target, server) as made:
        made[0].post("/api/queue/pause")
        share = max(1, CLIENTS // count)
        posting = [
            wrk.start(f"{one.url}/api/emails", bodies, connections=share, seconds=seconds) for one in made
        ]
        return sum([wrk.result(one).rate for one in posting])


def draining(folder: Path, count: int, server: Server | None, emails: int) -> float:
    """Deliveries a second of a stored backlog, by all daemons together."""
    with sink(folder) as target, daemons(folder, count, target, server) as made:
        fill(made[0], emails)
        began = time.time()
        made[0].post("/api/queue/resume")
        return emails / (target.wait_for(emails) - began)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--emails", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as place:
        folder = Path(place)
        folder.chmod(0o755)
        bodies = mail.write_bodies(folder / "bodies", [mail.body(number) for number in range(200)])
        server = Server(place=folder)
        print("| database | daemons | accepted/s | delivered/s |\n| --- | --- | --- | --- |")
        for name, count in (("SQLite", 1), ("PostgreSQL", 1), ("PostgreSQL", 2), ("PostgreSQL", 3)):
            used = server if name == "PostgreSQL" else None
            accepted = accepting(folder, count, used, bodies, options.seconds)
            delivered = draining(folder, count, used, options.emails)
            print(f"| {name} | {count} | {accepted:,.0f} | {delivered:,.0f} |", flush=True)
        server.destroy()


if __name__ == "__main__":
    main()
