from __future__ import annotations

from pathlib import Path

import pytest

from tests.http.test_pages import csrf_of
from tests.support.app import MASTER_KEY, Caller, caller, running_app

ORIGIN = {"Origin": "https://app.example.com"}
PREFLIGHT = ORIGIN | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}


def test_no_origin_is_allowed_by_default(service: Caller) -> None:
    assert "Access-Control-Allow-Origin" not in service.get("/api/emails", headers=ORIGIN).headers
    assert (
        "Access-Control-Allow-Origin" not in service.call("OPTIONS", "/api/emails", headers=PREFLIGHT).headers
    )


def test_the_named_origins_are_allowed_and_no_others(tmp_path: Path) -> None:
    with running_app(tmp_path, CORS_ORIGINS="https://app.example.com, https://b.example.com") as app:
        service = caller(app, MASTER_KEY)
        allowed = service.get("/api/emails", headers=ORIGIN)
        assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        assert "Origin" in allowed.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in allowed.headers
        other = service.get("/api/emails", headers={"Origin": "https://app.example.com.evil.com"})
        assert "Access-Control-Allow-Origin" not in other.headers
        assert "Origin" in other.headers["Vary"]
        preflight = app.test_client().options("/api/emails", headers=PREFLIGHT)
        assert preflight.status_code == 200
        assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
        assert "X-API-Key" in preflight.headers["Access-Control-Allow-Headers"]
        refused = app.test_client().get("/api/emails", headers=ORIGIN)
        assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (
            401,
            ORIGIN["Origin"],
        )


@pytest.mark.parametrize(("proxies", "secure"), [("0", False), ("1", True)])
def test_forwarded_headers_count_behind_trusted_proxies_only(
    tmp_path: Path, proxies: str, secure: bool
) -> None:
    with running_app(tmp_path, TRUSTED_PROXIES=proxies) as app:
        forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
        cookie = app.test_client().get("/login", headers=forwarded).headers["Set-Cookie"]
        assert ("Secure" in cookie) is secure
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie


def test_a_forged_address_does_not_reset_the_login_limit(nobody: Caller) -> None:
    form = {"key": "x", "csrf": csrf_of(nobody.client.get("/login"))}
    for number in range(10):
        nobody.call("POST", "/login", data=form, headers={"X-Forwarded-For": f"203.0.113.{number}"})
    assert nobody.call("POST", "/login", data=form).status_code == 429
