from __future__ import annotations

import threading
from dataclasses import replace

from models.database import write
from models.smtp_config import Health, Lane, Route, SmtpConfig
from services import routing, sandbox
from services.relay import Policy


def test_an_empty_relay_gets_one_config_that_leads_to_the_sandbox(policy: Policy) -> None:
    sandbox.ensure_config(policy, now=5)
    (config,) = SmtpConfig.select()
    assert (config.name, config.smtp_host, config.smtp_port) == ("Sandbox", "127.0.0.1", 1025)
    assert config.email_address == "sandbox@relay.test"
    assert config.sandbox and config.shared and config.allow_any_sender and config.active
    assert not (config.use_tls or config.use_ssl or config.tenant)
    assert Health.select().where(Health.smtp_config_id == config.id).count() == 1


def test_it_serves_lanes_at_once(policy: Policy) -> None:
    sandbox.ensure_config(policy, now=5)
    lane = write(lambda: routing.lane_for("acme", "", None))
    (config,) = SmtpConfig.select()
    assert Route.select().where((Route.lane_id == lane) & (Route.smtp_config_id == config.id)).exists()
    assert Lane.get_by_id(lane).tenant == "acme"


def test_later_starts_follow_the_port_setting(policy: Policy) -> None:
    sandbox.ensure_config(policy, now=5)
    sandbox.ensure_config(replace(policy, sandbox_port=2525), now=6)
    (config,) = SmtpConfig.select()
    assert (config.smtp_port, config.updated_at) == (2525, 6)


def test_a_relay_with_a_config_gets_none(policy: Policy) -> None:
    SmtpConfig.create(
        tenant="",
        name="own",
        email_address="a@b.example",
        smtp_host="mx",
        smtp_port=25,
        created_at=1,
        updated_at=1,
    )
    sandbox.ensure_config(policy, now=5)
    assert [one.name for one in SmtpConfig.select()] == ["own"]


def test_without_a_sandbox_there_is_none(policy: Policy) -> None:
    sandbox.ensure_config(replace(policy, sandbox_port=None), now=5)
    assert SmtpConfig.select().count() == 0


def test_starts_at_the_same_moment_make_one(policy: Policy) -> None:
    threads = [threading.Thread(target=sandbox.ensure_config, args=(policy, 5)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert SmtpConfig.select().count() == 1
