"""Posting over kept HTTP connections, while delivery is paused and while it goes on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import mail, wrk
from benchmarks.bench import Bench
from benchmarks.daemon import accepted, check_all_sent, first_accepted, relay
from benchmarks.sink import sink

LAST_ANSWERS = 0.5  # seconds for requests that were under way when the posting ended


@dataclass(frozen=True, slots=True)
class Stream:
    """What is posted where. `per_request` emails in each body."""

    key: str
    bodies: Path
    path: str = "/api/emails"
    connections: int = 16
    per_request: int = 1


def accepting(bench: Bench, stream: Stream, seconds: int, **settings: int) -> None:
    """Accepting alone: delivery is paused."""
    with sink(bench.folder) as target, relay(bench.folder, target, **settings) as daemon:
        daemon.post("/api/queue/pause")
        posted = _post(daemon.url, stream, seconds)
        bench.record(f"{stream.key}.accepting", posted.rate * stream.per_request)
        bench.record(f"{stream.key}.accepting.p50_ms", posted.p50_ms)
        bench.record(f"{stream.key}.accepting.p99_ms", posted.p99_ms)


def end_to_end(bench: Bench, stream: Stream, seconds: int, **settings: int) -> None:
    """Accepting and delivering at once, from the first POST until the last email has arrived."""
    with sink(bench.folder) as target, relay(bench.folder, target, **settings) as daemon:
        posted = _post(daemon.url, stream, seconds)
        meanwhile = target.count()
        time.sleep(LAST_ANSWERS)
        number, began = accepted(daemon), first_accepted(daemon)
        ended = target.wait_for(number)
        check_all_sent(daemon, target)
    pace = number / (ended - began)
    bench.record(f"{stream.key}.end_to_end", pace)
    bench.record(f"{stream.key}.both.accepting", posted.rate * stream.per_request)
    bench.record(f"{stream.key}.both.delivering", meanwhile / posted.seconds)
    bench.record(f"{stream.key}.both.remainder", number - meanwhile)


def _post(url: str, stream: Stream, seconds: int) -> wrk.Posted:
    return wrk.post(url + stream.path, stream.bodies, connections=stream.connections, seconds=seconds)


def single_bodies(folder: Path, name: str = "single", count: int = 200, **options: Any) -> Path:
    path = folder / f"{name}.jsonl"
    if not path.exists():
        mail.write_bodies(path, [mail.body(number, **options) for number in range(count)])
    return path


def singles(bench: Bench) -> None:
    """(a) one email a POST, 16 connections."""
    stream = Stream("a", single_bodies(bench.folder))
    accepting(bench, stream, bench.sizes.accepting)
    end_to_end(bench, stream, bench.sizes.posting)


def batches(bench: Bench) -> None:
    """(b) 500 emails a POST, 4 connections."""
    path = bench.folder / "batches.jsonl"
    if not path.exists():
        mail.write_bodies(path, [mail.batch(number, 500) for number in range(8)])
    stream = Stream("b", path, "/api/emails/batch", connections=4, per_request=500)
    accepting(bench, stream, bench.sizes.batches)
    end_to_end(bench, stream, bench.sizes.batches)


def many_recipients(bench: Bench) -> None:
    """(e) 20 recipients an email."""
    bodies = single_bodies(bench.folder, "recipients", recipients=20)
    end_to_end(bench, Stream("e", bodies), bench.sizes.accepting)


def large(bench: Bench) -> None:
    """(f) an attachment of 1 MB, no two alike."""
    bodies = single_bodies(bench.folder, "large", count=8, attachment=1_000_000)
    end_to_end(bench, Stream("f", bodies), bench.sizes.large)
