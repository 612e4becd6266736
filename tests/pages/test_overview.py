"""What many who watch the overview get: the same, drawn once."""

from __future__ import annotations

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from controllers.pages import overview
from tests.http.test_pages import log_in
from tests.support.app import EMAIL, Caller

LIVE = {"X-Live": "1"}


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each time that it is drawn."""
    seen, draw = [], overview._drawn

    def counted(*args: object) -> object:
        seen.append("drawn")
        return draw(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(overview, "_drawn", counted)
    return seen


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pulse is kept for as long as the test takes."""
    monkeypatch.setattr("services.pulse._FRESH", 3_600_000)


def test_all_who_watch_share_one_drawing_until_something_happens(
    app: APIFlask, client: FlaskClient, service: Caller, drawings: list[str], second: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    service.post("/api/emails", EMAIL)
    others = [app.test_client() for _ in range(3)]
    for one in others:
        log_in(one)
    first = client.get("/overview", headers=LIVE)
    answers = [one.get("/overview", headers=LIVE) for one in others]
    assert {one.text for one in answers} == {first.text}
    assert 'id="overview"' in first.text
    assert "csrf" not in first.text
    assert len(drawings) == 1
    again = client.get("/overview", headers=LIVE | {"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.get_data()) == (304, b"")
    service.post("/api/emails", EMAIL)
    monkeypatch.setattr("services.pulse._FRESH", 0)
    news = client.get("/overview", headers=LIVE | {"If-None-Match": first.headers["ETag"]})
    assert news.status_code == 200
    assert news.text != first.text


def test_whoever_opens_the_page_sees_what_is(client: FlaskClient, service: Caller, second: None) -> None:
    """Whatever those who watch are shown meanwhile."""
    service.post("/api/emails", EMAIL)
    assert "The relay is paused" not in client.get("/overview", headers=LIVE).text
    service.post("/api/queue/pause")
    assert "The relay is paused" in client.get("/overview").text


def test_the_same_form_sent_twice_is_one_email(client: FlaskClient, service: Caller) -> None:
    page = client.get("/compose").text
    fields = {name: page.split(f'name="{name}" value="')[1].split('"')[0] for name in ("csrf", "once")}
    fields |= {"to": "ann@example.com", "subject": "Once", "text": "x", "priority": "3"}
    first, second = (client.post("/compose", data=fields) for _ in range(2))
    assert first.location == second.location
    changed = client.post("/compose", data=fields | {"subject": "Corrected"})
    assert changed.location != first.location
    assert len(service.get("/api/emails").json["emails"]) == 2
    assert 'value="' + fields["once"] not in client.get("/compose").text
