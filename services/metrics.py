"""Metrics for Prometheus, read from the database: so they are of the whole relay, whichever process is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from models.database import row
from services.relay import Relay
from services.stats import queue_stats
from utils.version import VERSION


def render(relay: Relay, now: int) -> tuple[bytes, str]:
    """The page, and its content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Queue(queue_stats(relay, None, now)))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Queue(Collector):
    def __init__(self, stats: dict[str, Any]) -> None:
        self._stats = stats

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("mailferry_build", "Version that runs", value={"version": VERSION})
        yield from self._queue()
        yield from self._rates()
        yield from self._configs()

    def _queue(self) -> Iterator[Metric]:
        emails = GaugeMetricFamily("mailferry_emails", "Emails by state", labels=["state"])
        for state, count in self._stats["counts"].items():
            emails.add_metric([state], count)
        yield emails
        oldest = self._stats["oldest_waiting_seconds"] or 0
        yield GaugeMetricFamily(
            "mailferry_queue_oldest_age_seconds", "Longest wait of queued mail", value=oldest
        )
        yield GaugeMetricFamily(
            "mailferry_paused", "1 while the relay is paused", value=int(self._stats["paused"])
        )

    def _rates(self) -> Iterator[Metric]:
        yield CounterMetricFamily("mailferry_accepted", "Emails accepted, ever", value=_ever("emails"))
        yield CounterMetricFamily("mailferry_attempts", "Attempts to deliver, ever", value=_ever("attempts"))
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


def _ever(table: str) -> int:
    """Rows ever inserted: AUTOINCREMENT remembers its last id when the rows are gone."""
    found = row("SELECT seq FROM sqlite_sequence WHERE name = ?", table)
    return int(found[0]) if found else 0
