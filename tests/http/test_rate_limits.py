from __future__ import annotations

import time
from pathlib import Path

import pytest
from apiflask import APIFlask

from services.errors import RateLimitedError
from services.principal import Principal, Scope
from services.rate_limits import RateLimits
from tests.http.test_pages import log_in
from tests.support.app import EMAIL, MASTER_KEY, caller, new_key, running_app, tenant_caller
from utils.clock import MINUTE

NOW = 1_700_000_000_000


def principal(key_id: int | None = 1, service: bool = False, rate_limit: int | None = None) -> Principal:
    return Principal(key_id, "k", service, "" if service else "t", "", frozenset(Scope), rate_limit)


def test_a_window_moves() -> None:
    limits = RateLimits({"read": "3/minute"})
    for second in range(3):
        limits.check(principal(), "read", NOW + second * 1_000)
    with pytest.raises(RateLimitedError) as refused:
        limits.check(principal(), "read", NOW + 59_999)
    assert (refused.value.reset, refused.value.retry_after) == (NOW + MINUTE, 1)
    limits.check(principal(), "read", NOW + MINUTE)
    with pytest.raises(RateLimitedError):
        limits.check(principal(), "read", NOW + MINUTE + 999)


def test_groups_and_credentials_are_counted_apart() -> None:
    limits = RateLimits({"read": "1/minute", "send": "1/minute"})
    limits.check(principal(1), "read", NOW)
    limits.check(principal(1), "send", NOW)
    limits.check(principal(2), "read", NOW)
    limits.check(principal(None), "read", NOW)
    with pytest.raises(RateLimitedError):
        limits.check(principal(1), "read", NOW)


def test_service_keys_have_no_limit_but_their_own() -> None:
    limits = RateLimits({"read": "1/minute"})
    assert all(limits.check(principal(1, service=True), "read", NOW) is None for _ in range(5))
    room = limits.check(principal(2, service=True, rate_limit=2), "read", NOW)
    assert room is not None
    assert room.remaining == 1


def test_the_tighter_limit_holds() -> None:
    limits = RateLimits({"read": "100/minute"})
    limits.check(principal(rate_limit=1), "read", NOW)
    with pytest.raises(RateLimitedError) as refused:
        limits.check(principal(rate_limit=1), "read", NOW)
    assert refused.value.limit == 1


def test_memory_is_bounded() -> None:
    limits = RateLimits({})
    for number in range(25_000):
        limits.check_address(f"10.0.{number // 250}.{number % 250}", "login", NOW + number)
    assert len(limits._windows) <= 10_001


def test_a_429_says_when_to_come_back(tmp_path: Path) -> None:
    with running_app(tmp_path, RATE_LIMITS="read=2/minute") as app:
        tenant = tenant_caller(app, "a")
        first = tenant.get("/api/emails")
        assert (first.headers["X-RateLimit-Limit"], first.headers["X-RateLimit-Remaining"]) == ("2", "1")
        tenant.get("/api/emails")
        refused = tenant.get("/api/emails")
        assert (refused.status_code, refused.json["code"]) == (429, "RATE_LIMITED")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.headers["X-RateLimit-Remaining"] == "0"
        assert 0 <= int(refused.headers["X-RateLimit-Reset"]) - time.time() <= 61
        assert tenant.post("/api/emails", EMAIL).status_code == 201
        assert caller(app, MASTER_KEY).get("/api/emails").status_code == 200


def test_a_keys_own_limit_counts_over_all_groups(app: APIFlask) -> None:
    tenant = caller(app, new_key("a", rate_limit=2))
    assert tenant.get("/api/emails").status_code == 200
    assert tenant.post("/api/emails", EMAIL).status_code == 201
    assert tenant.get("/api/keys").status_code == 429


def test_wrong_logins_are_limited_by_address_and_a_good_key_gets_in_meanwhile(app: APIFlask) -> None:
    client = app.test_client()
    statuses = [log_in(client, "mf_wrong").status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    assert log_in(app.test_client()).status_code == 303


def test_whoever_has_a_network_of_ipv6_is_one_caller() -> None:
    limits = RateLimits({"login": "2/minute"})
    for number in range(2):
        limits.check_address(f"2001:db8:0:1::{number}", "login", NOW)
    with pytest.raises(RateLimitedError):
        limits.check_address("2001:db8:0:1:ffff::9", "login", NOW)
    limits.check_address("2001:db8:0:2::1", "login", NOW)
