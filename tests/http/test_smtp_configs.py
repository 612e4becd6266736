from __future__ import annotations

from typing import Any, get_args

import pytest
from apiflask import APIFlask

from controllers.schemas.smtp_configs import Provider
from models import Health, SmtpConfig
from models.database import run, write
from services.presets import PROVIDERS
from tests.support.app import CONFIG, EMAIL, Caller, running_app, tenant_caller
from utils.clock import HOUR, now_ms


def make(caller: Caller, **changes: Any) -> int:
    response = caller.post("/api/smtp-configs", CONFIG | changes)
    assert response.status_code == 201, response.json
    return int(response.json["config_id"])


def show(caller: Caller, config_id: int) -> dict[str, Any]:
    shown: dict[str, Any] = caller.get(f"/api/smtp-configs/{config_id}").json
    return shown


def change(caller: Caller, config_id: int, **changes: Any) -> Any:
    return caller.put(f"/api/smtp-configs/{config_id}", changes)


def test_a_password_is_stored_encrypted_and_never_shown(app: APIFlask, service: Caller) -> None:
    config_id = make(service)
    stored = SmtpConfig.get_by_id(config_id).password
    assert app.extensions["mailferry"].vault.decrypt(stored) == CONFIG["password"]
    shown = show(service, config_id)
    assert shown["has_password"] is True
    assert "password" not in shown


@pytest.mark.parametrize("changes", [
    {"smtp_host": "smtp.example.com"}, {"smtp_port": 588}, {"use_tls": False}, {"use_tls": False, "use_ssl": True},
    {"username": "other"}, {"username": None},
])  # fmt: skip
def test_aiming_a_config_elsewhere_clears_its_password(service: Caller, changes: dict[str, Any]) -> None:
    config_id = make(service)
    response = change(service, config_id, **changes)
    assert "password was cleared" in response.json["message"]
    assert show(service, config_id)["has_password"] is False


@pytest.mark.parametrize("changes", [
    {"smtp_host": "smtp.example.com", "password": "new"}, {"smtp_host": CONFIG["smtp_host"]},
    {"smtp_host": "SMTP.gmail.com"},
    {"daily_limit": 7}, {"name": "Other"}, {"email_address": "other@gmail.com"}, {"verify_tls": False},
])  # fmt: skip
def test_other_changes_keep_the_password(service: Caller, changes: dict[str, Any]) -> None:
    config_id = make(service)
    assert "cleared" not in change(service, config_id, **changes).json["message"]
    assert show(service, config_id)["has_password"] is True


def test_a_password_can_be_taken_away(service: Caller) -> None:
    config_id = make(service)
    change(service, config_id, password=None)
    assert show(service, config_id)["has_password"] is False


def test_null_and_zero_mean_no_limit(service: Caller) -> None:
    config_id = make(service, hourly_limit=None, daily_limit=0)
    assert (show(service, config_id)["hourly_limit"], show(service, config_id)["daily_limit"]) == (0, 0)
    assert show(service, config_id)["windows"]["hour"] == {"used": 0, "limit": None}


@pytest.mark.parametrize(("changes", "field"), [
    ({"use_tls": True, "use_ssl": True}, "use_ssl"),
    ({"email_address": "nobody"}, "email_address"),
    ({"email_address": "Me <me@example.com>"}, "email_address"),
    ({"from_domains": ["example.com", "not a domain"]}, "from_domains.1"),
    ({"smtp_host": "no host"}, "smtp_host"),
    ({"smtp_host": "-x-"}, "smtp_host"),
    ({"smtp_host": "http://smtp.example.com"}, "smtp_host"),
    ({"smtp_host": "a" * 64 + ".com"}, "smtp_host"),
    ({"smtp_host": None}, "smtp_host"),
    ({"username": None}, "username"),
    ({"name": ""}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"display_name": "a\r\nBcc: x"}, "display_name"),
    ({"provider": "nobody"}, "provider"),
    ({"limit_unit": "bytes"}, "limit_unit"),
    ({"max_connections": 0}, "max_connections"),
    ({"daily_limit": -1}, "daily_limit"),
    ({"weight": -1}, "weight"),
])  # fmt: skip
def test_wrong_settings_are_named(service: Caller, changes: dict[str, Any], field: str) -> None:
    response = service.post("/api/smtp-configs", CONFIG | changes)
    assert response.status_code == 400
    assert field in {one["field"] for one in response.json["details"]}


def test_a_change_is_held_to_the_same_rules(service: Caller) -> None:
    config_id = make(service)
    assert change(service, config_id, use_ssl=True).status_code == 400
    assert change(service, config_id, sent_count_today=0).status_code == 400
    assert change(service, config_id).status_code == 400
    assert show(service, config_id)["use_ssl"] is False


def test_a_name_is_unique_within_a_tenant(service: Caller, tenant_a: Caller) -> None:
    make(service)
    response = service.post("/api/smtp-configs", CONFIG)
    assert (response.status_code, response.json["code"]) == (409, "NAME_TAKEN")
    make(tenant_a)
    other = make(service, name="Other")
    assert change(service, other, name=CONFIG["name"]).status_code == 409
    assert change(service, other, name="Other").status_code == 200


def test_only_the_services_configs_are_shared(service: Caller, tenant_a: Caller) -> None:
    shared = make(service, shared=True)
    assert tenant_a.post("/api/smtp-configs", CONFIG | {"shared": True}).status_code == 400
    assert tenant_a.post("/api/emails", EMAIL | {"smtp_config_id": shared}).status_code == 201
    own = make(service, name="Own")
    assert tenant_a.post("/api/emails", EMAIL | {"smtp_config_id": own}).status_code == 400


PRIVATE = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "::ffff:127.0.0.1", "0.0.0.0"]


@pytest.mark.parametrize("host", PRIVATE)
def test_a_tenant_may_not_aim_at_private_addresses(service: Caller, tenant_a: Caller, host: str) -> None:
    response = tenant_a.post("/api/smtp-configs", CONFIG | {"smtp_host": host})
    assert (response.status_code, response.json["code"]) == (400, "PRIVATE_ADDRESS")
    config_id = make(tenant_a)
    assert change(tenant_a, config_id, smtp_host=host).status_code == 400
    make(service, smtp_host=host)


def test_the_rule_follows_the_owner_not_the_one_who_asks(service: Caller, tenant_a: Caller) -> None:
    config_id = make(tenant_a)
    assert change(service, config_id, smtp_host="127.0.0.1").status_code == 400


def test_a_setting_lifts_the_rule(tmp_path: Any) -> None:
    with running_app(tmp_path, ALLOW_PRIVATE_HOSTS="on") as app:
        make(tenant_caller(app, "tenant-a"), smtp_host="127.0.0.1")


def test_the_providers_offered_are_those_known() -> None:
    assert set(get_args(Provider)) == set(PROVIDERS)


@pytest.mark.parametrize("provider", [one for one in PROVIDERS if one != "custom"])
def test_a_provider_fills_host_port_and_tls(service: Caller, provider: str) -> None:
    body = {
        "name": "x",
        "email_address": "me@example.com",
        "provider": provider,
        "username": "me",
        "password": "p",
    }
    config_id = service.post("/api/smtp-configs", body).json["config_id"]
    shown = show(service, config_id)
    assert "." in shown["smtp_host"]
    assert (shown["smtp_port"], shown["use_tls"], shown["use_ssl"]) in (
        (587, True, False),
        (465, False, True),
    )


def test_what_stands_beside_the_provider_wins(service: Caller) -> None:
    minimal = {"name": "x", "email_address": "me@example.com", "provider": "gmail"}
    config_id = service.post("/api/smtp-configs", minimal | {"smtp_port": 465, "daily_limit": 2_000}).json[
        "config_id"
    ]
    shown = show(service, config_id)
    assert (shown["smtp_host"], shown["smtp_port"]) == ("smtp.gmail.com", 465)
    assert (shown["use_tls"], shown["use_ssl"], shown["daily_limit"]) == (False, True, 2_000)


def test_port_and_tls_follow_from_each_other(service: Caller) -> None:
    given: dict[str, Any] = {"name": "x", "email_address": "me@example.com", "smtp_host": "smtp.example.com"}
    cases = [
        ({}, (587, True, False)), ({"use_ssl": True}, (465, False, True)), ({"smtp_port": 465}, (465, False, True)),
        ({"smtp_port": 2525}, (2525, True, False)), ({"use_tls": False}, (587, False, False)),
        ({"smtp_port": 465, "use_tls": True}, (465, True, False)),
    ]  # fmt: skip
    for number, (changes, expected) in enumerate(cases):
        config_id = service.post("/api/smtp-configs", given | {"name": str(number)} | changes).json[
            "config_id"
        ]
        shown = show(service, config_id)
        assert (shown["smtp_port"], shown["use_tls"], shown["use_ssl"]) == expected


def test_hosts_and_domains_are_kept_in_one_form(service: Caller) -> None:
    config_id = make(
        service,
        smtp_host="SMTP.B\u00fccher.example",
        from_domains=["Example.COM", "b\u00fccher.example", "example.com"],
    )
    shown = show(service, config_id)
    assert shown["smtp_host"] == "smtp.xn--bcher-kva.example"
    assert shown["from_domains"] == ["example.com", "xn--bcher-kva.example"]


def test_a_config_is_kept_while_mail_waits_for_it(service: Caller) -> None:
    config_id = make(service)
    email = service.post("/api/emails", EMAIL | {"smtp_config_id": config_id}).json["email_id"]
    response = service.delete(f"/api/smtp-configs/{config_id}")
    assert response.status_code == 409
    assert "1 email" in response.json["message"]
    service.post(f"/api/emails/{email}/cancel")
    assert service.delete(f"/api/smtp-configs/{config_id}").status_code == 204
    assert service.get(f"/api/smtp-configs/{config_id}").status_code == 404
    assert Health.get_or_none(Health.smtp_config_id == config_id) is None
    assert service.get(f"/api/emails/{email}").status_code == 200


def test_a_config_is_kept_while_it_carries_mail(service: Caller) -> None:
    config_id = make(service)
    email = service.post("/api/emails", EMAIL).json["email_id"]
    write(lambda: run("UPDATE emails SET state = 'sending', carrier_id = ? WHERE id = ?", config_id, email))
    assert service.delete(f"/api/smtp-configs/{config_id}").status_code == 409


def test_pause_and_resume(service: Caller) -> None:
    config_id = make(service)
    service.post(f"/api/smtp-configs/{config_id}/pause")
    shown = show(service, config_id)
    assert (shown["pause"]["by"], shown["hold"]["kind"], shown["next_available_at"]) == (
        "person",
        "paused",
        None,
    )
    service.post(f"/api/smtp-configs/{config_id}/resume")
    shown = show(service, config_id)
    assert (shown["pause"], shown["hold"]) == (None, None)
    assert shown["next_available_at"] is not None


def test_the_breaker_is_shown_and_resume_closes_it(service: Caller) -> None:
    config_id = make(service)
    assert show(service, config_id)["breaker"]["state"] == "closed"
    Health.update(open_until=now_ms() + HOUR, open_reason="refused", failures=3).execute()
    breaker = show(service, config_id)["breaker"]
    assert (breaker["state"], breaker["reason"]) == ("open", "refused")
    assert show(service, config_id)["next_available_at"] == breaker["until"]
    Health.update(open_until=now_ms() - 1).execute()
    assert show(service, config_id)["breaker"]["state"] == "half_open"
    service.post(f"/api/smtp-configs/{config_id}/resume")
    assert show(service, config_id)["breaker"]["state"] == "closed"


def test_new_credentials_close_the_breaker_but_lift_no_pause(service: Caller) -> None:
    config_id = make(service)
    service.post(f"/api/smtp-configs/{config_id}/pause")
    Health.update(open_until=now_ms() + HOUR, failures=3).execute()
    change(service, config_id, password="the right one")
    shown = show(service, config_id)
    assert (shown["breaker"]["state"], shown["hold"]["kind"]) == ("closed", "paused")


def test_a_list_is_paged(service: Caller) -> None:
    for number in range(3):
        make(service, name=str(number))
    first = service.get("/api/smtp-configs?limit=3")
    assert (len(first.json), first.headers["X-Total-Count"]) == (3, "4")
    assert first.headers["Link"] == '</api/smtp-configs?limit=3&offset=3>; rel="next"'
    second = service.get("/api/smtp-configs?limit=3&offset=3")
    assert (len(second.json), "Link" in second.headers) == (1, False)
