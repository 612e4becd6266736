"""People, what their roles allow, and how their passwords are guarded."""

from __future__ import annotations

import re

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from models.people import AuditEntry, User
from services import users
from services.errors import ConflictError, InvalidInputError
from services.roles import Role
from tests.http.test_pages import csrf_of, log_in
from utils.clock import HOUR, MINUTE, now_ms

PASSWORD = "a long enough password"
ROLE_OF_PAGE = {"/sandbox": Role.VIEWER, "/users": Role.ADMIN, "/audit": Role.ADMIN}


def sign_in(app: APIFlask, name: str, password: str = PASSWORD) -> tuple[FlaskClient, TestResponse]:
    client = app.test_client()
    data = {"name": name, "password": password, "csrf": csrf_of(client.get("/login"))}
    return client, client.post("/login", data=data)


def send(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    return client.post(path, data=fields | {"csrf": csrf_of(client.get("/sandbox"))}, follow_redirects=True)


@pytest.fixture
def ann(app: APIFlask) -> int:
    return users.create("Ann", PASSWORD, "viewer", now_ms())


@pytest.mark.parametrize("role", list(Role))
def test_a_role_opens_its_pages_and_no_others(app: APIFlask, role: Role) -> None:
    users.create("somebody", PASSWORD, role, now_ms())
    client, answer = sign_in(app, "Somebody")
    assert (answer.status_code, answer.location) == (303, "/start")
    for path, needed in ROLE_OF_PAGE.items():
        assert client.get(path).status_code == (200 if role.includes(needed) else 403), path
    assert ('action="/sandbox/clear"' in client.get("/sandbox").text) is False  # nothing to clear
    cleared = client.post("/sandbox/clear", data={"csrf": csrf_of(client.get("/sandbox"))})
    assert cleared.status_code == (403 if role == Role.VIEWER else 303)


def test_a_role_that_is_taken_away_is_gone_at_the_next_click(app: APIFlask, ann: int) -> None:
    users.set_role(ann, "admin")
    client, _ = sign_in(app, "ann")
    assert client.get("/users").status_code == 200
    users.set_role(ann, "viewer")
    assert client.get("/users").status_code == 403


def test_a_new_password_signs_out_whoever_had_the_old(app: APIFlask, ann: int) -> None:
    client, _ = sign_in(app, "ann")
    users.set_password(ann, "another long password")
    assert client.get("/sandbox").status_code == 302
    assert sign_in(app, "ann")[1].status_code == 401
    assert sign_in(app, "ann", "another long password")[1].status_code == 303


def test_who_is_removed_is_signed_out_and_a_namesake_inherits_nothing(app: APIFlask, ann: int) -> None:
    client, _ = sign_in(app, "ann")
    users.remove(ann)
    users.create("ann", "another long password", "admin", now_ms())
    assert client.get("/sandbox").status_code == 302


def test_wrong_passwords_lock_the_name_for_a_while_that_grows(app: APIFlask, ann: int) -> None:
    now = now_ms()
    for _ in range(users.PATIENCE):
        assert users.authenticate("ann", "wrong", now) is None
    assert users.authenticate("ann", PASSWORD, now) is None
    assert users.authenticate("ann", PASSWORD, now + MINUTE - 1) is None
    assert users.authenticate("ann", "wrong", now + MINUTE) is None
    assert users.authenticate("ann", PASSWORD, now + 2 * MINUTE) is None
    assert users.authenticate("ann", PASSWORD, now + 6 * MINUTE) == ann
    assert User.get_by_id(ann).failures == 0


def test_the_lock_never_grows_over_an_hour(app: APIFlask, ann: int) -> None:
    now = now_ms()
    for _ in range(users.PATIENCE + 10):
        User.update(locked_until=None).execute()
        users.authenticate("ann", "wrong", now)
    assert User.get_by_id(ann).locked_until == now + HOUR


def test_a_locked_name_cannot_be_told_from_a_wrong_password(app: APIFlask, ann: int) -> None:
    User.update(locked_until=now_ms() + HOUR).execute()
    answers = [sign_in(app, *one)[1] for one in (("ann", PASSWORD), ("ann", "wrong"), ("nobody", PASSWORD))]
    texts = {re.sub(r'value="[^"]*"', "", one.text) for one in answers}
    assert ([one.status_code for one in answers], len(texts)) == ([401] * 3, 1)


def test_one_address_may_try_ten_times_a_minute(app: APIFlask, ann: int) -> None:
    codes = [sign_in(app, f"name{number}", "wrong")[1].status_code for number in range(11)]
    assert codes == [401] * 10 + [429]


def test_an_unlocked_name_may_try_at_once(app: APIFlask, ann: int) -> None:
    User.update(locked_until=now_ms() + HOUR, failures=9).execute()
    users.unlock(ann)
    assert users.authenticate("ann", PASSWORD, now_ms()) == ann


@pytest.mark.parametrize(
    ("name", "password", "role", "field"),
    [("", PASSWORD, "admin", "name"), ("a b", PASSWORD, "admin", "name"), ("bea", "short", "admin", "password"),
     ("bea", "x" * 201, "admin", "password"), ("bea", PASSWORD, "king", "role")],
)  # fmt: skip
def test_what_is_wrong_is_named(app: APIFlask, name: str, password: str, role: str, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        users.create(name, password, role, now_ms())
    assert caught.value.field == field


def test_a_name_is_given_once(app: APIFlask, ann: int) -> None:
    with pytest.raises(ConflictError):
        users.create("ANN", PASSWORD, "viewer", now_ms())


def test_what_is_stored_is_no_password(app: APIFlask, ann: int) -> None:
    assert User.get_by_id(ann).password_hash.startswith("$argon2id$")


def test_changes_here_and_over_the_api_are_in_the_audit_log_without_secrets(app: APIFlask) -> None:
    client = app.test_client()
    log_in(client)
    send(client, "/users", name="ann", password=PASSWORD, role="operator")
    made = client.post(
        "/api/smtp-configs",
        headers={"X-API-Key": "mf_master-key-of-the-tests"},
        json={"name": "Mail", "email_address": "a@example.com", "smtp_host": "smtp.example.com", "smtp_port": 587,
              "username": "a", "password": "planted-password"},
    )  # fmt: skip
    assert made.status_code == 201
    text = client.get("/audit").text
    for expected in (
        "create user",
        "user ann",
        "create smtp config",
        "smtp.example.com",
        "(set)",
        "master key",
    ):
        assert expected in text, expected
    for secret in (PASSWORD, "planted-password"):
        assert secret not in text
        assert all(secret not in str(one.details) for one in AuditEntry.select())


def test_sending_mail_is_no_change_of_the_relay(app: APIFlask) -> None:
    headers = {"X-API-Key": "mf_master-key-of-the-tests"}
    body = {"subject": "Hi", "recipients": ["a@example.com"], "text_content": "x"}
    assert app.test_client().post("/api/emails", headers=headers, json=body).status_code == 201
    assert AuditEntry.select().count() == 0


def test_a_form_that_is_refused_says_what_is_wrong_where_it_was_filled_in(app: APIFlask) -> None:
    client = app.test_client()
    log_in(client)
    answer = send(client, "/users", name="ann", password="short", role="viewer", back="/users")
    assert "Password: must have 10 to 200 characters." in answer.text
    assert answer.request.path == "/users"
    assert users.listed() == []


def test_the_first_page_is_for_browsers_and_programs(app: APIFlask) -> None:
    client = app.test_client()
    assert client.get("/").json["service"] == "mailferry"
    browser = client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert browser.status_code == 302
