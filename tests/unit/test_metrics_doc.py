"""docs/metrics.md and deploy/alerts.yml against a live page, both ways."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from services import metrics
from tests.queue.making import NOW
from tests.support.relay import add_config, relay_in

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(mailferry_\w+)` \| (\w+) \|([^|]*)\| ([^|]+) \|$", re.MULTILINE)
DESCRIBED = ROW.findall((ROOT / "docs/metrics.md").read_text())
ALERTS = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


@pytest.fixture
def families(tmp_path: Path) -> list[Metric]:
    with relay_in(tmp_path) as relay:
        add_config(hourly_limit=5)
        page = metrics.render(relay, NOW)[0].decode()
    return [*text_string_to_metric_families(page)]


def shape(family: Metric) -> tuple[str, str, tuple[str, ...]]:
    name = family.name + ("_total" if family.type == "counter" else "")
    labels = {label for sample in family.samples for label in sample.labels}
    return name, family.type, tuple(sorted(labels))


def test_each_metric_is_described_as_it_is_and_no_other(families: list[Metric]) -> None:
    described = {
        (name, kind, tuple(sorted(re.findall(r"`(\w+)`", labels)))) for name, kind, labels, _ in DESCRIBED
    }
    assert described == {shape(one) for one in families}


def test_words_of_a_label_are_those_of_the_page(families: list[Metric]) -> None:
    told = {name: set(re.findall(r"`(\w+)`", text)) for name, _, _, text in DESCRIBED}
    for family in families:
        name, _, _ = shape(family)
        if name in (
            "mailferry_attempts_total", "mailferry_events_total", "mailferry_rate_per_minute", "mailferry_accounts",
        ):  # fmt: skip
            assert told[name] == {value for one in family.samples for value in one.labels.values()}


def test_every_alert_is_complete_and_asks_only_for_what_there_is(families: list[Metric]) -> None:
    names = {sample.name for family in families for sample in family.samples}
    assert len({rule["alert"] for rule in RULES}) == len(RULES) >= 10
    for rule in RULES:
        asked = set(re.findall(r"mailferry_\w+", rule["expr"]))
        assert asked <= names and (asked or rule["alert"] == "MailferryDown"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_labels_that_alerts_name_are_there(families: list[Metric]) -> None:
    labels = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    for rule in RULES:
        for name, inside in re.findall(r"(mailferry_\w+)\{([^}]*)\}", rule["expr"]):
            assert set(re.findall(r"(\w+)=", inside)) <= labels[name], rule["alert"]
        if shown := set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))):
            assert shown <= labels[re.findall(r"mailferry_\w+", rule["expr"])[0]], rule["alert"]
