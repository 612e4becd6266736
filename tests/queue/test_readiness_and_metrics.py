from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from models import Email
from models.database import database, row, write
from services import health_checks, metrics
from services.relay import Relay
from tests.queue.making import NOW, M, change_config, change_health, ended, use
from tests.support import database as databases
from tests.support.database import sqlite_only
from tests.support.relay import add_config, submit
from utils.clock import HOUR

ROOT = Path(__file__).resolve().parents[2]


def failing(relay: Relay, now: int = NOW) -> set[str]:
    good, checks = health_checks.ready(relay, now)
    bad = {name for name, check in checks.items() if not check["ok"]}
    assert good is (not bad)
    return bad


def test_it_is_ready_when_all_is_well(relay: Relay) -> None:
    add_config()
    relay.alive = lambda: True
    assert failing(relay) == set()


def test_each_lack_is_named(relay: Relay) -> None:
    config = add_config()
    assert failing(relay) == {"workers"}
    relay.alive = lambda: True
    change_config(config, active=False)
    assert failing(relay) == {"smtp_configs"}
    change_config(config, active=True)
    relay.policy = replace(relay.policy, min_free_bytes=2**60)
    assert failing(relay) == {"disk"}


@sqlite_only
def test_the_disk_is_that_of_the_database(relay: Relay) -> None:
    add_config()
    relay.alive = lambda: True
    folder = relay.policy.data_dir
    relay.policy = replace(relay.policy, data_dir=Path("/nowhere"))
    assert failing(relay) == set()
    gone = folder.rename(folder.with_name("gone"))
    try:
        assert failing(relay) == {"disk"}
    finally:
        gone.rename(folder)


@sqlite_only
def test_a_database_that_cannot_be_written_is_not_ready(relay: Relay) -> None:
    add_config()
    relay.alive = lambda: True
    write(lambda: None)  # opens the connection
    database.obj._writer.execute("PRAGMA query_only = 1")
    assert failing(relay) == {"database"}
    database.obj._writer.execute("PRAGMA query_only = 0")
    assert failing(relay) == set()


def test_many_questions_are_one_write_a_second(relay: Relay) -> None:
    for n in range(5):
        health_checks.ready(relay, NOW + n)
    assert row("SELECT changed_at FROM switches WHERE name = 'write_probe'") == (NOW,)
    health_checks.ready(relay, NOW + 1_000)
    assert row("SELECT changed_at FROM switches WHERE name = 'write_probe'") == (NOW + 1_000,)


def values(relay: Relay, now: int = NOW) -> dict[tuple[str, ...], float]:
    """(sample name, label values…) → value"""
    body, content_type = metrics.render(relay, now)
    assert content_type.startswith("text/plain")
    families = text_string_to_metric_families(body.decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_the_page_tells_the_state_of_the_relay(relay: Relay) -> None:
    config = add_config(name='a "b"', hourly_limit=50)
    use(config, M, 7)
    change_health(config, open_until=NOW + HOUR)
    submit(relay, NOW - 90_000)
    ended(relay, "sent")
    found = values(relay)
    name = ('a "b"', str(config))
    assert found["mailferry_emails", "queued"] == 1
    assert found["mailferry_emails", "sent"] == 1
    assert found["mailferry_emails", "failed"] == 0
    assert found["mailferry_queue_oldest_age_seconds",] == 90
    assert found["mailferry_config_used", *name, "hour"] == 7
    assert found["mailferry_config_limit", *name, "hour"] == 50
    assert ("mailferry_config_limit", *name, "day") not in found, "there is none"
    assert found["mailferry_config_breaker_open", *name] == 1
    assert found["mailferry_rate_per_minute", "1m", "sent"] == 1
    assert any(key[0] == "mailferry_build_info" for key in found)


def test_totals_never_fall(relay: Relay) -> None:
    add_config()
    for _ in range(3):
        submit(relay, NOW)
    assert values(relay)["mailferry_accepted_total",] == 3
    write(lambda: Email.delete().execute())
    assert values(relay, NOW + HOUR)["mailferry_accepted_total",] == 3


def test_another_process_tells_the_same(relay: Relay) -> None:
    add_config()
    submit(relay, NOW)
    script = (
        "import sys, pathlib, models\nfrom types import SimpleNamespace\nfrom services import metrics\n"
        "from tests.support.relay import policy\n"
        "where = sys.argv[1]\nmodels.bind(where if '://' in where else pathlib.Path(where))\n"
        "relay = SimpleNamespace(policy=policy(pathlib.Path(sys.argv[3])))\n"
        "print(metrics.render(relay, int(sys.argv[2]))[0].decode())"
    )
    path = databases.location(relay.policy.data_dir)
    done = subprocess.run(
        [sys.executable, "-c", script, str(path), str(NOW), str(relay.policy.data_dir)],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ}, check=True, timeout=60,
    )  # fmt: skip
    here = metrics.render(relay, NOW)[0].decode()
    assert steady(done.stdout) == steady(here)


def steady(page: str) -> list[str]:
    """Without what changes while we look."""
    return [line for line in page.strip().splitlines() if not line.startswith("mailferry_disk_free_bytes")]
