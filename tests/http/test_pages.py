from __future__ import annotations

import re
from email.message import EmailMessage
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from controllers.pages.frame import local
from models.people import BrowserSession
from models.service import ApiKey
from services import sandbox
from services.principal import Scope
from tests.support.app import MASTER_KEY, new_key, running_app
from utils.clock import HOUR, now_ms

HTML = '<h1>Hello</h1><script>alert("x")</script>'


def csrf_of(response: TestResponse) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', response.get_data(as_text=True))
    assert found
    return found[1]


def log_in(client: FlaskClient, key: str = MASTER_KEY, **more: str) -> TestResponse:
    csrf = csrf_of(client.get("/login"))
    return client.post("/login", data={"key": key, "csrf": csrf} | more)


@pytest.fixture
def client(app: APIFlask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def caught(app: APIFlask) -> int:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Shop <shop@example.com>", "ann@example.com", "<b>Receipt</b>"
    mail.set_content("plain words")
    mail.add_alternative(HTML, subtype="html")
    return sandbox.store("shop@example.com", ["ann@example.com"], mail.as_bytes(), now_ms())


def test_a_key_is_traded_for_a_session(client: FlaskClient) -> None:
    assert client.get("/sandbox").location == "/login?next=/sandbox"
    response = log_in(client)
    assert (response.status_code, response.location) == (303, "/start")
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert MASTER_KEY not in cookie
    assert client.get("/sandbox").status_code == 200


def test_a_wrong_key_gets_no_session(client: FlaskClient) -> None:
    response = log_in(client, "mf_wrong")
    assert response.status_code == 401
    assert "not known" in response.get_data(as_text=True)
    assert client.get("/sandbox").status_code == 302


def test_forms_need_their_csrf_token(client: FlaskClient) -> None:
    assert client.post("/login", data={"key": MASTER_KEY}).status_code == 403
    client.get("/login")
    assert client.post("/login", data={"key": MASTER_KEY, "csrf": "wrong"}).status_code == 403
    log_in(client)
    assert client.post("/sandbox/clear").status_code == 403
    assert client.post("/logout").status_code == 403
    assert client.get("/sandbox").status_code == 200


def test_a_login_starts_the_session_afresh(client: FlaskClient) -> None:
    with client.session_transaction() as session:
        session["planted"] = "by a stranger"
        session["csrf"] = "known-to-a-stranger"
    client.post("/login", data={"key": MASTER_KEY, "csrf": "known-to-a-stranger"})
    client.get("/sandbox")
    with client.session_transaction() as session:
        assert "planted" not in session
        assert session["csrf"] != "known-to-a-stranger"


def test_a_logout_ends_the_session(client: FlaskClient) -> None:
    log_in(client)
    csrf = csrf_of(client.get("/sandbox"))
    assert client.post("/logout", data={"csrf": csrf}).status_code == 303
    assert client.get("/sandbox").status_code == 302


def test_a_session_ends_with_its_key(app: APIFlask, client: FlaskClient) -> None:
    log_in(client, new_key(""))
    assert client.get("/sandbox").status_code == 200
    ApiKey.update(revoked_at=now_ms()).execute()
    assert client.get("/sandbox").status_code == 302


def test_a_session_ends_by_age(client: FlaskClient) -> None:
    log_in(client)
    assert BrowserSession.get().expires_at - now_ms() <= 12 * HOUR
    BrowserSession.update(expires_at=now_ms() - 1).execute()
    assert client.get("/sandbox").status_code == 302


def test_a_copied_cookie_is_worth_nothing_after_the_logout(app: APIFlask, client: FlaskClient) -> None:
    log_in(client)
    thief, cookie = app.test_client(), client.get_cookie("mailferry")
    assert cookie
    thief.set_cookie("mailferry", cookie.value)
    assert thief.get("/sandbox").status_code == 200
    client.post("/logout", data={"csrf": csrf_of(client.get("/sandbox"))})
    assert thief.get("/sandbox").status_code == 302


def test_the_database_holds_no_token_that_opens_a_session(client: FlaskClient) -> None:
    log_in(client)
    with client.session_transaction() as session:
        token = session["token"].encode()
    assert token not in bytes(BrowserSession.get().sha256)


def test_another_master_key_ends_sessions_of_the_old(tmp_path: Path) -> None:
    with running_app(tmp_path) as app:
        client = app.test_client()
        log_in(client)
        cookie = client.get_cookie("mailferry")
    with running_app(tmp_path, API_KEY="mf_the-next-master-key") as app:
        client = app.test_client()
        assert cookie
        client.set_cookie("mailferry", cookie.value)
        assert client.get("/sandbox").status_code == 302


@pytest.mark.parametrize(("tenant", "scope"), [("tenant-a", Scope.ADMIN), ("", Scope.SEND)])
def test_pages_are_for_people_of_the_service_who_may_read(
    client: FlaskClient, tenant: str, scope: Scope
) -> None:
    log_in(client, new_key(tenant, scope))
    response = client.get("/sandbox")
    assert response.status_code == 403
    assert response.mimetype == "text/html"


def test_a_session_opens_no_api(client: FlaskClient) -> None:
    log_in(client)
    assert client.get("/api/sandbox").status_code == 401


@pytest.mark.parametrize(
    "target", ["https://evil.com", "//evil.com", "/\\evil.com", "javascript:alert(1)", "", "/a\nb", "/%0a\t"]
)
def test_a_login_never_leads_to_another_site(app: APIFlask, target: str) -> None:
    with app.test_request_context():
        assert local(target, "/overview") == "/overview"


def test_an_empty_sandbox_teaches_what_to_do(client: FlaskClient) -> None:
    log_in(client)
    text = client.get("/sandbox").get_data(as_text=True)
    assert "curl -X POST http://localhost/api/emails" in text
    assert "1025" in text
    assert MASTER_KEY not in text


def test_caught_mail_is_listed_shown_and_deleted(client: FlaskClient, caught: int) -> None:
    log_in(client)
    listed = client.get("/sandbox").get_data(as_text=True)
    assert "&lt;b&gt;Receipt&lt;/b&gt;" in listed
    shown = client.get(f"/sandbox/{caught}").get_data(as_text=True)
    assert "plain words" in shown
    assert "shop@example.com" in shown
    assert "<script>alert" not in shown
    raw = client.get(f"/sandbox/{caught}/raw")
    assert (raw.mimetype, b"plain words" in raw.get_data()) == ("message/rfc822", True)
    assert client.get("/sandbox/999").status_code == 404
    client.post("/sandbox/clear", data={"csrf": csrf_of(client.get("/sandbox"))})
    assert sandbox.messages(10) == []


def test_the_mails_html_is_caged(client: FlaskClient, caught: int) -> None:
    log_in(client)
    page = client.get(f"/sandbox/{caught}").get_data(as_text=True)
    assert re.search(r"<iframe[^>]* sandbox ", page)
    html = client.get(f"/sandbox/{caught}/html")
    policy = html.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy
    assert "allow-" not in policy
    assert html.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert HTML.encode() in html.get_data()


@pytest.mark.parametrize("path", ["/login", "/sandbox", "/sandbox/1", "/docs"])
def test_pages_carry_security_headers_and_load_nothing_from_elsewhere(
    client: FlaskClient, caught: int, path: str
) -> None:
    log_in(client)
    response = client.get(path)
    assert response.status_code == 200
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert not re.search(r"script-src[^;]*unsafe", policy)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"
    text = response.get_data(as_text=True)
    assert not re.search(r'(src|href)="(https?:)?//', text)
    assert not re.search(r"<script(?![^>]*src=)", text)
    assert " style=" not in text
    for link in re.findall(r'(?:src|href)="(/[^"]+)"', text):
        assert client.get(link, follow_redirects=True).status_code == 200, link


def test_api_answers_carry_security_headers(client: FlaskClient) -> None:
    for path in ("/health", "/api/emails", "/nonsense"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
