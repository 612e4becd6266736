"""Everything that can be measured, in the order of a round, and what each needs to be compared with."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks import profile
from benchmarks.bench import Bench
from benchmarks.loads import backlog, distance, growth, idle, inbound, stream, tuning
from benchmarks.references import bulk_insert, celery_redis, disk, echo, postfix, senders


@dataclass(frozen=True, slots=True)
class Part:
    run: Callable[[Bench], None]
    about: str
    each_round: bool = False  # a headline: taken in every round
    needs: tuple[str, ...] = ()


PARTS = {
    "disk": Part(disk.fsync, "an fsync of 4 KB", each_round=True),
    "limit": Part(senders.limit, "smtp-source straight to smtp-sink", each_round=True),
    "smtplib": Part(senders.smtplib_loop, "a plain script on one kept connection", each_round=True),
    "c1": Part(backlog.one_process, "draining a stored backlog", each_round=True, needs=("smtplib",)),
    "c2": Part(backlog.two_processes, "the same, WEB_CONCURRENCY=2", each_round=True, needs=("smtplib",)),
    "postfix": Part(postfix.singles, "smtp-source to Postfix to smtp-sink", each_round=True),
    "a": Part(stream.singles, "one email a POST, 16 connections", each_round=True, needs=("postfix", "echo")),
    "echo": Part(echo.echo, "a bare Flask echo", each_round=True),
    "b": Part(stream.batches, "500 emails a POST, 4 connections", each_round=True, needs=("postfix", "bulk")),
    "bulk": Part(bulk_insert.bulk_insert, "SQLite's own insert of the same rows", each_round=True),
    "celery": Part(celery_redis.celery, "Celery on Redis, a task an email", each_round=True),
    "d": Part(idle.one_at_a_time, "one email on an idle relay", each_round=True),
    "e": Part(stream.many_recipients, "20 recipients an email", needs=("postfix20",)),
    "postfix20": Part(postfix.many_recipients, "the same through Postfix"),
    "f": Part(stream.large, "attachments of 1 MB", needs=("postfix1mb",)),
    "postfix1mb": Part(postfix.large, "the same through Postfix"),
    "distance": Part(distance.far_away, "a server at 0, 50 and 200 ms"),
    "tuning": Part(tuning.tuning, "processes and threads, one setting changed at a time"),
    "profile": Part(profile.measured, "CPU an email, by part"),
    "growth": Part(growth.growth, "long queues"),
    "inbound": Part(inbound.inbound, "a mailbox is synced, beside mbsync"),
}  # fmt: skip


def chosen(only: Iterable[str]) -> list[str]:
    """The parts named, and what they need; all when none is named. KeyError for an unknown name."""
    wanted = set(only) or set(PARTS)
    for name in tuple(wanted):
        wanted.update(PARTS[name].needs)
    return [name for name in PARTS if name in wanted]


def run(bench: Bench, names: list[str]) -> None:
    """Headlines in turn, round by round, so that each meets the same neighbours on the machine; then the rest."""
    for number in range(bench.sizes.rounds):
        for name in names:
            if PARTS[name].each_round:
                _run(bench, name, f"round {number + 1} of {bench.sizes.rounds}")
    for name in names:
        if not PARTS[name].each_round:
            _run(bench, name, "once")


def _run(bench: Bench, name: str, when: str) -> None:
    """A part that fails is reported, and costs the others nothing."""
    print(f"{name}: {PARTS[name].about} ({when})", flush=True)
    try:
        PARTS[name].run(bench)
    except Exception as exc:
        traceback.print_exc()
        bench.failures.append(f"{name} ({when}): {type(exc).__name__}: {exc}")
