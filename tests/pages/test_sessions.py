"""What somebody with a guess, a copied cookie or a held stream can do: nothing, and not for long."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from controllers.pages import live
from services import users
from tests.http.test_pages import csrf_of, log_in
from tests.pages.routes import csrf, pages
from tests.support.app import new_key
from utils.clock import now_ms

PASSWORD = "a long enough password"


@pytest.fixture
def ann(app: APIFlask) -> int:
    return users.create("ann", PASSWORD, "operator", now_ms())


def try_as(app: APIFlask, address: str, **given: str) -> TestResponse:
    client = app.test_client()
    place = {"REMOTE_ADDR": address}
    token = csrf_of(client.get("/login", environ_base=place))
    return client.post("/login", data=given | {"csrf": token}, environ_base=place)


def test_a_name_is_locked_whichever_addresses_guess(app: APIFlask, ann: int) -> None:
    for number in range(users.PATIENCE):
        assert try_as(app, f"192.0.2.{number}", name="ann", password="wrong").status_code == 401
    assert try_as(app, "198.51.100.1", name="ann", password=PASSWORD).status_code == 401


def test_nobody_locks_the_master_key_out(app: APIFlask, ann: int) -> None:
    for _ in range(12):
        guessed = try_as(app, "192.0.2.1", key="mf_wrong")
        named = try_as(app, "192.0.2.1", name="ann", password="wrong")
    assert (guessed.status_code, named.status_code) == (429, 429)
    assert try_as(app, "192.0.2.1", key="mf_master-key-of-the-tests").status_code == 303
    assert try_as(app, "192.0.2.1", key=new_key("")).status_code == 303


def test_wrong_logins_are_in_the_log_without_what_was_tried(
    app: APIFlask, caplog: pytest.LogCaptureFixture
) -> None:
    try_as(app, "192.0.2.7", name="typed-into-the-wrong-field", password="wrong")
    assert "action=login_refused by=name address=192.0.2.7" in caplog.text
    assert "typed-into" not in caplog.text


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "\\\\evil.example",
     "javascript:alert(1)", " //evil.example", "https:evil.example", "/" + "x" * 5_000],
)  # fmt: skip
def test_nobody_is_led_to_another_site(app: APIFlask, target: str) -> None:
    client = app.test_client()
    assert log_in(client, next=target).location == "/start"
    client.get("/sandbox")
    answer = client.post("/suppressions", data={"csrf": csrf(client), "address": "none", "back": target})
    assert answer.headers.get("Location", "") == ""
    assert answer.status_code == 400
    answer = client.post("/emails/cancel", data={"csrf": csrf(client), "back": target})
    assert answer.location == "/emails"


def told_by(stream: Iterator[str], least: int) -> list[str]:
    told = []
    for one in stream:
        told.append(one.partition("\n")[0])
        if len(told) >= least:
            break
    return told


@pytest.fixture
def quick_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "TICK", 0.01)


def test_a_stream_ends_with_its_session(app: APIFlask, client: FlaskClient, quick_stream: None) -> None:
    answer = client.get("/live")
    stream = (part.decode() for part in answer.iter_encoded())
    assert told_by(stream, 1) == ["event: pulse"]
    client.get("/sandbox")
    assert client.post("/logout", data={"csrf": csrf(client)}).status_code == 303
    assert [one.partition("\n")[0] for one in stream][-1] == "event: over"
    answer.close()
    assert client.get("/live").location.startswith("/login")


def test_a_stream_ends_with_its_user(app: APIFlask, ann: int, quick_stream: None) -> None:
    client = app.test_client()
    client.post("/login", data={"name": "ann", "password": PASSWORD, "csrf": csrf_of(client.get("/login"))})
    answer = client.get("/live")
    stream = (part.decode() for part in answer.iter_encoded())
    assert told_by(stream, 1) == ["event: pulse"]
    users.remove(ann)
    assert [one.partition("\n")[0] for one in stream][-1] == "event: over"
    answer.close()


def test_streams_that_were_left_give_their_places_back(app: APIFlask, client: FlaskClient) -> None:
    for _ in range(20):
        client.head("/live").close()
        answer = client.get("/live")
        assert answer.status_code == 200
        answer.close()


def test_no_page_shows_anything_after_the_logout(app: APIFlask, client: FlaskClient) -> None:
    client.get("/sandbox")
    client.post("/logout", data={"csrf": csrf(client)})
    for path, role in pages(app):
        if role:
            answer = client.get(path)
            assert (answer.status_code, answer.location.partition("?")[0]) == (302, "/login"), path


def test_a_stolen_cookie_cannot_be_made_into_more(app: APIFlask, client: FlaskClient) -> None:
    """Signed by another secret, or changed by a letter, it opens nothing."""
    cookie = client.get_cookie("mailferry")
    assert cookie
    for value in (cookie.value[:-1], "x" + cookie.value, re.sub(r"\.", "..", cookie.value, count=1), "", "é"):
        thief = app.test_client()
        thief.set_cookie("mailferry", value)
        assert thief.get("/sandbox").status_code == 302
