"""Which config carries which mail, after configs have come, changed and gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models import Instance, Lane
from models.database import row, rows
from services import accept, claim, configs, sandbox
from services.errors import InvalidInputError
from services.principal import Principal, Scope
from services.relay import Relay
from services.submission import NewEmail
from services.why import why
from tests.support.relay import SERVICE, add_config, policy, submit
from utils.clock import now_ms

OWN: dict[str, Any] = {
    "name": "own", "email_address": "a@own.test", "smtp_host": "mx.own.test", "smtp_port": 25, "use_tls": False
}  # fmt: skip


def tenant(name: str) -> Principal:
    return Principal(None, name, False, name, "", frozenset(Scope))


def carriers(email_id: int) -> set[int]:
    found = rows(
        "SELECT r.smtp_config_id FROM routes r JOIN emails e USING (lane_id) WHERE e.id = ?", email_id
    )
    return {one for (one,) in found}


def create(relay: Relay, who: Principal, **fields: Any) -> int:
    return configs.create(relay, who, OWN | fields, now_ms())


def change(relay: Relay, config_id: int, **fields: Any) -> None:
    configs.update(relay, SERVICE, config_id, fields, now_ms())


@pytest.fixture
def catcher(relay: Relay, tmp_path: Path) -> int:
    """The sandbox's config, as the first start makes it."""
    sandbox.ensure_config(policy(tmp_path, sandbox_port=1025), now_ms())
    found = row("SELECT id FROM smtp_configs WHERE sandbox")
    assert found is not None
    return int(found[0])


@pytest.mark.parametrize("lost", [{"shared": False}, {"from_domains": []}])
def test_pinned_mail_waits_when_its_config_may_not_carry_it_any_more(
    relay: Relay, lost: dict[str, Any]
) -> None:
    Instance.create(id=1, boot_id="b", lock_name="none", host="h", pid=1, started_at=0)
    config = add_config(shared=True, from_domains=["corp.test"])
    one = submit(relay, who=tenant("acme"), smtp_config_id=config, sender="ceo@corp.test")
    assert carriers(one) == {config}
    change(relay, config, **lost)
    assert claim.claim(config, 1, now_ms(), 5, connected=False) is None
    assert why(relay, None, one, now_ms())["reason"] == "no_config"
    change(relay, config, shared=True, from_domains=["corp.test"])
    found = claim.claim(config, 1, now_ms(), 5, connected=False)
    assert found is not None and [email.id for email in found.emails] == [one]


def test_pinned_mail_under_the_configs_own_address_needs_no_domain(relay: Relay) -> None:
    config = add_config(shared=True, email_address="Ünal@corp.test", from_domains=["corp.test"])
    own = submit(relay, who=tenant("acme"), smtp_config_id=config, sender="Ünal@corp.test")
    other = submit(relay, who=tenant("acme"), smtp_config_id=config, sender="ann@corp.test")
    plain = submit(relay, who=tenant("acme"), smtp_config_id=config)
    change(relay, config, from_domains=[])
    assert [carriers(one) for one in (own, other, plain)] == [{config}, set(), {config}]


def test_a_tenants_config_ends_the_sandbox_for_that_tenant_alone(relay: Relay, catcher: int) -> None:
    mine, theirs = submit(relay, who=tenant("ours")), submit(relay, who=tenant("theirs"))
    service = submit(relay)
    own = create(relay, tenant("ours"))
    assert carriers(mine) == {own}
    assert carriers(theirs) == carriers(service) == {catcher}
    assert carriers(submit(relay, who=tenant("theirs"))) == {catcher}
    assert carriers(submit(relay, who=tenant("late"))) == {catcher}


def test_a_shared_config_ends_it_for_everyone_and_an_unshared_one_for_the_service(
    relay: Relay, catcher: int
) -> None:
    service, theirs = submit(relay), submit(relay, who=tenant("theirs"))
    own = create(relay, SERVICE)
    assert (carriers(service), carriers(theirs)) == ({own}, {catcher})
    change(relay, own, hourly_limit=5)
    assert carriers(theirs) == {catcher}, "an edit changes nothing"
    change(relay, own, shared=True)
    assert (carriers(service), carriers(theirs)) == ({own}, {own})
    assert carriers(submit(relay, who=tenant("new"))) == {own}


def test_mail_never_falls_back_into_the_sandbox(relay: Relay, catcher: int) -> None:
    own = create(relay, tenant("ours"))
    one = submit(relay, who=tenant("ours"))
    configs.delete(SERVICE, own)
    change(relay, catcher, weight=3)
    sandbox.ensure_config(policy(relay.policy.data_dir, sandbox_port=2525), now_ms())
    assert carriers(one) == set()
    with pytest.raises(InvalidInputError, match="no SMTP config"):
        submit(relay, who=tenant("ours"))
    assert carriers(submit(relay, who=tenant("theirs"))) == {catcher}


def test_a_new_sandbox_does_not_catch_real_mail_either(relay: Relay, catcher: int) -> None:
    own = create(relay, SERVICE, shared=True)
    configs.delete(SERVICE, own)
    configs.delete(SERVICE, catcher)
    sandbox.ensure_config(policy(relay.policy.data_dir, sandbox_port=1025), now_ms())
    for who in (SERVICE, tenant("ours")):
        with pytest.raises(InvalidInputError, match="no SMTP config"):
            submit(relay, who=who)


def test_the_sandbox_takes_what_is_pinned_to_it_all_along(relay: Relay, catcher: int) -> None:
    create(relay, SERVICE, shared=True)
    assert row("SELECT weight FROM smtp_configs WHERE id = ?", catcher) == (1,)
    assert carriers(submit(relay, smtp_config_id=catcher)) == {catcher}
    assert carriers(submit(relay, who=tenant("ours"), smtp_config_id=catcher)) == {catcher}


def test_mail_that_is_refused_leaves_no_lane_behind(relay: Relay) -> None:
    config = add_config(from_domains=["shop.test"], hourly_limit=1, limit_unit="recipients")
    refused = [
        NewEmail("s", ["a@example.com"], text="t", sender=f"ann@d{n}.test", smtp_config_id=pin)
        for n, pin in enumerate([None, config, None])
    ]
    refused.append(NewEmail("s", ["a@example.com", "b@example.com"], text="t", sender="ann@shop.test"))
    answer = accept.submit_batch(relay, SERVICE, refused, "permissive", now_ms())
    assert [one["error"]["code"] for one in answer.body["results"]] == [
        *["SENDER_NOT_ALLOWED"] * 3,
        "OVER_LIMIT",
    ]
    assert Lane.select().count() == 0
    submit(relay, sender="ann@shop.test")
    submit(relay, sender="bob@shop.test")
    assert Lane.select().count() == 1
