"""What stands before every page and every form, whichever there are: tokens, roles, headers, and odd input."""

from __future__ import annotations

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from models.email import Email
from models.people import AuditEntry, User
from models.service import ApiKey
from models.smtp_config import SmtpConfig
from services import users
from services.roles import Role
from tests.http.test_pages import csrf_of
from tests.pages.routes import csrf, forms, pages
from tests.support.app import CONFIG, EMAIL, Caller
from utils.clock import now_ms

PASSWORD = "a long enough password"
GOOD = {
    "to": "a@example.com", "subject": "x", "text": "y", "name": "n", "password": PASSWORD, "role": "admin",
    "email_address": "a@example.com", "smtp_host": "smtp.example.com", "smtp_port": "587", "address": "z@example.com",
    "outcome": "sent", "scopes": "read", "id": "1", "priority": "3",
}  # fmt: skip
NUMBERS = ("9" * 25, "9" * 5_000, "-1", "0", "\u0661", "²", "1e400")
TIMES = (
    "0001-01-01T00:00",
    "0001-01-01T00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "nan",
    "2020-13-01",
)
TEXTS = ("\ufffe\uffff", "%_\\'", "x" * 3_000, "\r\nX: y", '"<x>"@example.com')
# What may be odd about each question and field; a NUL may be in any.
ASKED = (
    dict.fromkeys(("config", "before"), NUMBERS) | dict.fromkeys(("since", "until"), TIMES)
    | dict.fromkeys(("q", "cursor", "after", "tenant", "reason", "status", "recipient", "actor", "span"), TEXTS)
)  # fmt: skip
FILLED = (
    dict.fromkeys(("config", "rate_limit", "id", "smtp_port", "pin"), NUMBERS[:4])
    | dict.fromkeys(("back", "address", "name", "once"), TEXTS[:3]) | {"send_at": TIMES[:3]}
)  # fmt: skip


@pytest.fixture
def stock(service: Caller) -> None:
    """An email 1, which waits for the config 1 or another."""
    config = service.post("/api/smtp-configs", CONFIG).json["config_id"]
    assert service.post("/api/emails", EMAIL | {"smtp_config_id": config}).json["email_id"] == 1


def everything() -> list[object]:
    """What an action might have changed."""
    tables = (Email, SmtpConfig, ApiKey, User, AuditEntry)
    return [list(table.select().order_by(table.id).dicts()) for table in tables]


def signed_in(app: APIFlask, role: Role) -> FlaskClient:
    users.create(f"a-{role}", PASSWORD, role, now_ms())
    client = app.test_client()
    data = {"name": f"a-{role}", "password": PASSWORD, "csrf": csrf_of(client.get("/login"))}
    assert client.post("/login", data=data).status_code == 303
    return client


def test_no_form_is_taken_without_its_token(app: APIFlask, client: FlaskClient, stock: None) -> None:
    csrf_of(client.get("/sandbox"))
    before, found = everything(), forms(app)
    assert len(found) > 20
    for path, _ in found:
        for given in ({}, {"csrf": ""}, {"csrf": "wrong"}, {"csrf": "é"}, {"csrf": "\0"}):
            answer = client.post(path, data=GOOD | {"key": "x"} | given)
            assert (answer.status_code, answer.mimetype) == (403, "text/html"), (path, given)
        in_query = client.post(f"{path}?csrf={csrf(client)}", data=GOOD | {"key": "x"})
        assert in_query.status_code == 403, path
    assert everything() == before


def test_no_form_is_taken_with_the_token_of_another_session(app: APIFlask, client: FlaskClient) -> None:
    csrf_of(client.get("/sandbox"))
    strangers = csrf_of(app.test_client().get("/login"))
    for path, _ in forms(app):
        assert client.post(path, data=GOOD | {"key": "x", "csrf": strangers}).status_code == 403, path


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_no_role_does_what_a_higher_one_may(app: APIFlask, stock: None, role: Role) -> None:
    client = signed_in(app, role)
    csrf_of(client.get("/sandbox"))
    token, before = csrf(client), everything()
    higher = [one for one in forms(app) if one.role and not role.includes(one.role)]
    assert len(higher) > 10
    for path, _ in higher:
        answer = client.post(path, data=GOOD | {"csrf": token})
        assert (answer.status_code, answer.mimetype) == (403, "text/html"), path
    for path, needed in pages(app):
        if needed and not role.includes(needed):
            assert client.get(path).status_code == 403, path
    assert everything() == before


def test_no_page_shows_a_form_that_the_role_may_not_send(app: APIFlask, stock: None) -> None:
    client = signed_in(app, Role.VIEWER)
    refused = [path for path, role in forms(app) if role]
    for path, role in pages(app):
        if role == Role.VIEWER and path != "/live":
            text = client.get(path).text
            assert [one for one in refused if f'action="{one}"' in text] == [], path


def test_a_viewer_sees_no_secrets(app: APIFlask, stock: None) -> None:
    client = signed_in(app, Role.VIEWER)
    for path, role in pages(app):
        if role == Role.VIEWER and path != "/live":
            text = client.get(path).text
            assert "planted-smtp-password" not in text, path
    assert client.get("/settings").status_code == 403


def test_settings_show_no_secrets_even_to_admins(client: FlaskClient, app: APIFlask) -> None:
    text = client.get("/settings").text
    for secret in (app.secret_key, "mf_master-key-of-the-tests", "a-jwt-secret-of-the-tests-000000"):
        assert str(secret) not in text
    assert "SECRET_KEY" in text


def test_every_page_is_kept_by_nobody_and_framed_by_nobody(
    app: APIFlask, client: FlaskClient, stock: None
) -> None:
    for path, _ in pages(app):
        answer = client.get(f"{path}?once" if path == "/live" else path)
        policy = answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store", path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        if path.endswith(("/html", "/preview")) and answer.status_code == 200:
            assert "frame-ancestors 'self'" in policy, path
        else:
            assert "frame-ancestors 'none'" in policy, path
            assert answer.headers["X-Frame-Options"] == "DENY", path
        assert "unsafe-eval" not in policy, path
        if path.endswith("/preview"):
            continue  # of a template: our own words, with its html in a frame's cage; tests/browser/test_templates.py
        assert "unsafe-inline" not in policy or "sandbox;" in policy, path


def odd(questions: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [("tenant", "\0"), ("name", "a\0b")] + [
        (name, text) for name, texts in questions.items() for text in texts
    ]


def test_odd_questions_are_answered(app: APIFlask, client: FlaskClient, stock: None) -> None:
    wrong = []
    for path in (
        "/emails",
        "/suppressions",
        "/audit",
        "/sandbox",
        "/overview",
        "/compose",
        "/keys",
        "/smtp-configs/new",
    ):
        for name, text in odd(ASKED):
            answer = client.get(path, query_string={name: text[:2_000]})
            if answer.status_code >= 500 or (answer.status_code >= 400 and answer.mimetype != "text/html"):
                wrong.append((path, name, text[:30], answer.status_code))
    assert wrong == []


def test_odd_forms_are_answered(app: APIFlask, client: FlaskClient, stock: None) -> None:
    client.get("/sandbox")
    wrong, token = [], csrf(client)
    for path, role in forms(app):
        if role is None or path.endswith("/test"):  # that one dials
            continue
        for name, text in odd(FILLED):
            given = GOOD | {"password": "short"} if "user" in path else GOOD  # a hash takes its time
            answer = client.post(path, data=given | {name: text, "csrf": token})
            if answer.status_code >= 500 or (answer.status_code >= 400 and answer.mimetype != "text/html"):
                wrong.append((path, name, text[:30], answer.status_code))
            assert len(answer.headers.get("Set-Cookie", "")) < 4_000, (path, name, text[:30])
    assert wrong == []


@pytest.mark.parametrize("text", ["\0", "9" * 5_000, "\ufffe\uffff", "\r\nX: y"])
def test_odd_logins_are_answered(app: APIFlask, text: str) -> None:
    for field in ("name", "password", "key"):
        client = app.test_client()
        given = {"name": "ann", "password": "x"} if field != "key" else {}
        token = csrf_of(client.get("/login", query_string={"next": text[:2_000]}))
        answer = client.post("/login", data=given | {field: text, "next": text, "csrf": token})
        assert answer.status_code in (400, 401), (field, answer.status_code)


def test_people_get_pages_where_programs_get_envelopes(app: APIFlask, client: FlaskClient) -> None:
    client.get("/sandbox")
    html = {"Accept": "text/html,*/*;q=0.8"}
    for path in (
        "/nonsense",
        "/emails/987654",
        "/emails/x",
        "/static/../app.py",
        "/sandbox/99999999999999999999",
    ):
        answer = client.get(path, headers=html)
        assert (answer.status_code, answer.mimetype) == (404, "text/html"), path
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert client.get("/nonsense").mimetype == "application/json"
    assert client.get("/api/nonsense", headers=html).mimetype == "application/json"
    huge = client.post(
        "/compose", data={"csrf": csrf(client), "text": "x" * 2_100_000}, content_type="multipart/form-data"
    )
    assert (huge.status_code, huge.mimetype) == (413, "text/html")


def test_strangers_cannot_post_much(app: APIFlask) -> None:
    client = app.test_client()
    token = csrf_of(client.get("/login"))
    for path in ("/login", "/logout"):
        answer = client.post(path, data={"csrf": token, "key": "x" * 30_000})
        assert answer.status_code == 413, path


def test_a_page_that_breaks_says_no_more_than_the_api(
    app: APIFlask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is away: no page can ask it who looks."""

    def broken(*args: object) -> None:
        raise RuntimeError("planted detail of the inside")

    monkeypatch.setattr("services.browser_sessions.subject_of", broken)
    answer = client.get("/emails")
    assert (answer.status_code, answer.mimetype) == (500, "text/html")
    assert "planted detail" not in answer.text
    assert "the log has it" in answer.text
