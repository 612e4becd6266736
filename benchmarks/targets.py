"""What the figures are called, and which ratios between them are aimed at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import sub, truediv

LABELS = {
    "a.end_to_end": ("(a) single POSTs, 16 connections, end to end", "emails/s"),
    "a.accepting": ("(a) accepting alone", "emails/s"),
    "a.both.accepting": ("(a) accepting, while delivery goes on", "emails/s"),
    "a.both.delivering": ("(a) delivering, while accepting goes on", "emails/s"),
    "a.both.remainder": ("(a) left to deliver when the posting ended", "emails"),
    "a.accepting.p50_ms": ("(a) accepting alone, median answer", "ms"),
    "a.accepting.p99_ms": ("(a) accepting alone, 99th percentile", "ms"),
    "b.end_to_end": ("(b) batches of 500, 4 connections, end to end", "emails/s"),
    "b.accepting": ("(b) accepting alone", "emails/s"),
    "b.both.delivering": ("(b) delivering, while accepting goes on", "emails/s"),
    "c.1": ("(c) draining a stored backlog, WEB_CONCURRENCY=1", "emails/s"),
    "c.2": ("(c) draining, WEB_CONCURRENCY=2", "emails/s"),
    "d.relay": ("(d) one idle POST to the server's 250, median", "ms"),
    "d.relay.p95": ("(d) the same, 95th percentile", "ms"),
    "d.smtplib_new": ("(d) smtplib, a new connection, median", "ms"),
    "d.smtplib_kept": ("(d) smtplib, a kept connection, median", "ms"),
    "e.end_to_end": ("(e) 20 recipients an email, end to end", "emails/s"),
    "f.end_to_end": ("(f) 1 MB attachments, end to end", "emails/s"),
    "postfix": ("Postfix, end to end", "emails/s"),
    "postfix.accepting": ("Postfix, accepting meanwhile", "emails/s"),
    "postfix.20": ("Postfix, 20 recipients an email", "emails/s"),
    "postfix.1mb": ("Postfix, 1 MB attachments", "emails/s"),
    "smtplib": ("smtplib loop, one kept connection", "emails/s"),
    "echo": ("Flask echo, same gunicorn settings", "requests/s"),
    "bulk": ("SQLite bulk insert, one transaction", "emails/s"),
    "bulk.500": ("SQLite bulk insert, 500 emails a transaction", "emails/s"),
    "celery": ("Celery on Redis with smtplib, end to end (not durable)", "emails/s"),
    "celery.accepting": ("Celery on Redis, accepting meanwhile", "emails/s"),
    "limit": ("smtp-source straight to smtp-sink", "emails/s"),
    "inbound.first_s": ("first sync of a mailbox, all of it", "s"),
    "inbound.newest_s": ("first sync, until the newest message can be read", "s"),
    "inbound.memory_mb": ("first sync, growth of the daemon's memory at most", "MB"),
    "inbound.commands": ("a pass over 50 unchanged folders", "commands"),
    "inbound.list_ms": ("a page of the mailbox, median", "ms"),
    "inbound.conversations_ms": ("a page of its conversations, median", "ms"),
    "inbound.search_ms": ("a page of a search, median", "ms"),
    "mbsync.s": ("mbsync, the same mailbox into a Maildir, no fsync", "s"),
    "fsync": ("4 KB appended and fsynced, median", "ms"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """`of` compared with `to`, pair by pair as they were taken; with nothing where `to` is empty. `bound`: at least,
    or at most where `at_most`."""

    what: str
    of: str
    to: str
    bound: float
    at_most: bool = False
    compare: Callable[[float, float], float] = truediv
    unit: str = "times"

    def met(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound

    @property
    def aim(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.bound:g} {self.unit}"


TARGETS = [
    Target("(a) end to end, to Postfix", "a.end_to_end", "postfix", 2),
    Target("(a) accepting alone, to the Flask echo", "a.accepting", "echo", 0.75),
    Target("(a) delivering while accepting, to end to end", "a.both.delivering", "a.end_to_end", 0.5),
    Target("(b) end to end, to Postfix", "b.end_to_end", "postfix", 5),
    Target("(b) accepting alone, to SQLite's bulk insert", "b.accepting", "bulk", 0.5),
    Target("(c) one process, to the smtplib loop", "c.1", "smtplib", 1),
    Target("(c) two processes, to the smtplib loop", "c.2", "smtplib", 1.3),
    Target(
        "(d) one idle POST, beyond smtplib with a new connection", "d.relay", "d.smtplib_new", 8, True, sub, "ms"
    ),
    Target("50 ms away, to the limit", "distance.50", "distance.50.limit", 0.9),
    Target("200 ms away, to the limit", "distance.200", "distance.200.limit", 0.9),
    Target("claim, 1,000,000 queued to 1,000", "growth.1000000.claim", "growth.1000.claim", 1.3, True),
    Target("accept, 1,000,000 queued to 1,000", "growth.1000000.accept", "growth.1000.accept", 1.3, True),
    Target("daemon's memory at 1,000,000 queued", "growth.1000000.memory_mb", "", 200, True, unit="MB"),
    Target("first sync, until the newest message can be read", "inbound.newest_s", "", 5, True, unit="s"),
    Target("first sync, growth of the daemon's memory", "inbound.memory_mb", "", 100, True, unit="MB"),
    Target("a pass over 50 unchanged folders", "inbound.commands", "", 3, True, unit="commands"),
    Target("a page of the mailbox", "inbound.list_ms", "", 50, True, unit="ms"),
    Target("a page of its conversations", "inbound.conversations_ms", "", 50, True, unit="ms"),
    Target("a page of a search", "inbound.search_ms", "", 50, True, unit="ms"),
]  # fmt: skip
OTHERS = [
    Target("(b) delivering while accepting, to end to end", "b.both.delivering", "b.end_to_end", 1),
    Target("(a) end to end, to Celery on Redis", "a.end_to_end", "celery", 1),
    Target("(a) end to end, to the smtplib loop", "a.end_to_end", "smtplib", 1),
    Target("(c) one process, to smtp-source straight to smtp-sink", "c.1", "limit", 1),
    Target("(e) end to end, to Postfix", "e.end_to_end", "postfix.20", 1),
    Target("(f) end to end, to Postfix", "f.end_to_end", "postfix.1mb", 1),
    Target("first sync of a mailbox, to mbsync (times as long)", "inbound.first_s", "mbsync.s", 1, True),
]
