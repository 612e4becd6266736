from __future__ import annotations

from typing import Any, get_args

import pytest

from controllers.schemas.accounts import Provider
from services import presets
from services.account_presets import HOSTS, PROVIDERS
from tests.accounts.making import change
from tests.support.app import Caller

ME = {"accountName": "Me", "emailAddress": "me@example.com", "password": "an-app-password"}


def make(ann: Caller, **fields: Any) -> dict[str, Any]:
    response = ann.post("/api/accounts", ME | fields)
    assert response.status_code == 201, response.json
    made: dict[str, Any] = response.json
    return made


def test_the_providers_offered_are_those_known() -> None:
    assert set(get_args(Provider)) == set(PROVIDERS)
    assert set(PROVIDERS) <= set(presets.PROVIDERS)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_provider_fills_all_servers_and_the_username(ann: Caller, provider: str, protocol: str) -> None:
    if protocol not in HOSTS[provider]:
        refused = ann.post("/api/accounts", ME | {"provider": provider, "protocol": protocol})
        assert (refused.status_code, refused.json["details"][0]["field"]) == (400, "protocol")
        return
    made = make(ann, provider=provider, protocol=protocol)
    assert made.items() >= {
        "hostname": HOSTS[provider][protocol], "port": 993 if protocol == "imap" else 995, "encryption": "tls",
        "username": "me@example.com", "state": "active",
    }.items()  # fmt: skip
    assert made["smtp"]["hostname"] == presets.PRESETS[provider]["smtp_host"]
    assert (made["smtp"]["port"], made["smtp"]["encryption"]) in ((587, "starttls"), (465, "tls"))
    assert made["smtp"]["hasPassword"] is True


def test_what_stands_beside_the_provider_wins(ann: Caller) -> None:
    made = make(ann, provider="gmail", hostname="imap.example.com", username="me", smtp={"dailyLimit": 2_000})
    assert (made["hostname"], made["port"], made["username"]) == ("imap.example.com", 993, "me")
    assert (made["smtp"]["hostname"], made["smtp"]["dailyLimit"]) == ("smtp.gmail.com", 2_000)
    assert made["smtp"]["username"] == "me"


def test_half_of_a_pair_is_not_filled(ann: Caller) -> None:
    refused = ann.post("/api/accounts", ME | {"provider": "gmail", "encryption": "starttls"})
    assert (refused.status_code, refused.json["details"][0]["field"]) == (400, "port")
    assert make(ann, provider="gmail", port=143, encryption="starttls")["port"] == 143


def test_an_account_may_do_without_smtp(ann: Caller) -> None:
    made = make(ann, provider="fastmail", smtp=None)
    assert made["smtp"] is None
    assert change(ann, made, provider="gmail").status_code == 400  # to be made with it, not changed by it
