"""Metrics for Prometheus, read from the database: so they are of the whole relay, whichever process is asked.

docs/metrics.md says what each means; a test keeps the two alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from models.database import database, row
from services import account_counts, tallies
from services.aftermath import IDS_SKIPPED
from services.presence import running
from services.relay import Relay
from services.stats import queue_stats
from services.switches import last_backup
from utils.machine import free_bytes
from utils.version import VERSION

OUTCOMES = ("sent", "retry", "failed", "unknown")
EVENTS = (
    "unknown", "returned", "late_reply", "expired", "requeued", "resolved", "cancelled", "changed", "erased",
    "copied", "copy_failed",
    "bounced", "delayed", "delivered", "complained", "replied", "auto_replied", "suppressed", "suppression_added",
    "stray_report",
)  # fmt: skip


def render(relay: Relay, now: int) -> tuple[bytes, str]:
    """The page, and its content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(relay, now))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Page(Collector):
    def __init__(self, relay: Relay, now: int) -> None:
        self._relay, self._now = relay, now
        self._stats: dict[str, Any] = queue_stats(relay, None, now)
        self._totals = tallies.totals()

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("mailferry_build", "Version that runs", value={"version": VERSION})
        yield from self._queue()
        yield from self._counters()
        yield from self._histograms()
        yield from self._rates()
        yield from self._configs()
        yield _by("mailferry_accounts", "Mail accounts by state", "state", account_counts.counts())
        yield from _processes(self._relay, self._now)
        yield from _storage()

    def _queue(self) -> Iterator[Metric]:
        yield _by("mailferry_emails", "Emails by state", "state", self._stats["counts"])
        oldest = self._stats["oldest_waiting_seconds"] or 0
        yield GaugeMetricFamily("mailferry_queue_oldest_age_seconds", "Longest wait of queued mail", oldest)
        paused = int(self._stats["paused"])
        yield GaugeMetricFamily("mailferry_paused", "1 while the relay is paused", paused)

    def _counters(self) -> Iterator[Metric]:
        counts = self._totals
        yield CounterMetricFamily("mailferry_accepted", "Emails accepted", _accepted())
        yield CounterMetricFamily("mailferry_sent", "Emails that ended as sent", counts["ended/sent"])
        yield CounterMetricFamily("mailferry_failed", "Emails that ended as failed", counts["ended/failed"])
        for name, about, label, words in (
            ("attempts", "Attempts to deliver, by what came of them", "outcome", OUTCOMES),
            ("events", "Events out of the ordinary, by type", "type", EVENTS),
        ):
            family = CounterMetricFamily(f"mailferry_{name}", about, labels=[label])
            for word in words:
                family.add_metric([word], counts[f"{name}/{word}"])
            yield family

    def _histograms(self) -> Iterator[Metric]:
        for name, about, bounds in (
            ("accept", "Time from a request that posts mail to its answer", tallies.ACCEPT_BOUNDS),
            (
                "delivery",
                "Time from when an email was first to go until it was sent",
                tallies.DELIVERY_BOUNDS,
            ),
        ):
            counts = [self._totals[f"{name}/le/{bound}"] for bound in (*bounds, "more")]
            edges = [*(f"{bound / 1000:g}" for bound in bounds), "+Inf"]
            yield HistogramMetricFamily(
                f"mailferry_{name}_seconds", about, list(zip(edges, accumulate(counts), strict=True)),
                self._totals[f"{name}/sum"] / 1000,
            )  # fmt: skip

    def _rates(self) -> Iterator[Metric]:
        rates = GaugeMetricFamily("mailferry_rate_per_minute", "Emails a minute", labels=["what", "period"])
        for what, periods in self._stats["rates_per_minute"].items():
            for period, rate in periods.items():
                rates.add_metric([what, period], rate)
        yield rates

    def _configs(self) -> Iterator[Metric]:
        labels = ["config", "config_id"]  # names are unique for a tenant only
        used = GaugeMetricFamily("mailferry_config_used", "Quota used", labels=[*labels, "window"])
        limit = GaugeMetricFamily(
            "mailferry_config_limit", "Quota, where there is one", labels=[*labels, "window"]
        )
        broken = GaugeMetricFamily(
            "mailferry_config_breaker_open", "1 while open or half-open", labels=labels
        )
        held = GaugeMetricFamily("mailferry_config_held", "1 while anything holds it", labels=labels)
        connections = GaugeMetricFamily("mailferry_config_connections", "Open connections", labels=labels)
        for config in self._stats["configs"]:
            name = [config["name"], str(config["id"])]
            for window in ("hour", "day"):
                used.add_metric([*name, window], config[window]["used"])
                if config[window]["limit"]:
                    limit.add_metric([*name, window], config[window]["limit"])
            broken.add_metric(name, int(config["breaker_open"]))
            held.add_metric(name, int(config["hold"] is not None))
            connections.add_metric(name, config["connections"])
        yield from (used, limit, broken, held, connections)


def _by(name: str, about: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def _accepted() -> int:
    """Rows ever inserted, those that are gone again too. Ids that a restore skipped do not count."""
    skipped = row("SELECT value FROM switches WHERE name = ?", IDS_SKIPPED)
    return int(database.obj.ever("emails")) - (int(skipped[0]) if skipped else 0)


def _processes(relay: Relay, now: int) -> Iterator[Metric]:
    alive = {one.id for one in running(relay.policy, now)}
    yield GaugeMetricFamily("mailferry_processes", "Processes that deliver", len(alive))
    leader = row("SELECT instance_id FROM leaders WHERE name = 'jobs'")
    leads = int(leader is not None and leader[0] in alive)
    yield GaugeMetricFamily("mailferry_leader", "1 while a living process runs the periodic jobs", leads)


def _storage() -> Iterator[Metric]:
    yield _by("mailferry_storage_bytes", "Size of the database's files", "file", database.obj.sizes())
    yield GaugeMetricFamily(
        "mailferry_last_backup_timestamp_seconds",
        "When the last backup was taken; 0: never",
        last_backup() / 1000,
    )
    if database.folder:  # a server's disk cannot be seen from here
        free = free_bytes(database.folder)
        yield GaugeMetricFamily("mailferry_disk_free_bytes", "Free where the database is", free)
