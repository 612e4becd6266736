"""Emails made of templates: what arrives at a real SMTP server is what was stored when they were accepted."""

from __future__ import annotations

import email.policy
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

import pytest
from apiflask import APIFlask

from services.templates import finding
from tests.support.app import CONFIG, Caller
from tests.support.relay import delivering
from tests.support.sink import Sink
from tests.templates.test_storing import make

TO = {"recipients": ["ann@example.com"]}
ANN = {"template": "welcome", "variables": {"name": "Ann"}}


@pytest.fixture
def sink(service: Caller) -> Iterator[Sink]:
    with Sink() as sink:
        body = CONFIG | {
            "smtp_host": "127.0.0.1",
            "smtp_port": sink.port,
            "use_tls": False,
            "username": None,
            "password": None,
        }
        assert service.post("/api/smtp-configs", body).status_code == 201
        yield sink


def arrived(app: APIFlask, sink: Sink, count: int = 1) -> list[EmailMessage]:
    with delivering(app.extensions["mailferry"], workers=1):
        messages = sink.wait_for(count)
    parser = BytesParser(policy=email.policy.default)
    found = [parser.parsebytes(one.data) for one in messages]
    assert all(isinstance(one, EmailMessage) for one in found)
    return found  # type: ignore[return-value]


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content()).replace("\r\n", "\n").strip()


def send(caller: Caller, **fields: Any) -> int:
    response = caller.post("/api/emails", TO | fields)
    assert response.status_code == 201, response.json
    return int(response.json["email_id"])


def test_an_email_arrives_as_its_template_says(app: APIFlask, service: Caller, sink: Sink) -> None:
    html = "<style>p { color: red }</style><p>Hi {{ name }}</p>{% for one in things %}<p>{{ one }}</p>{% endfor %}"
    made = make(service, html=html)
    sent = send(service, template="welcome", variables={"name": "Ann\r\nBcc: <eve>", "things": ["a", "b"]})
    (message,) = arrived(app, sink)
    assert (message["Subject"], message["Bcc"]) == ("Hi Ann Bcc: <eve>", None)
    red = '<p style="color: red;">'
    assert part(message, "html") == f"{red}Hi Ann\nBcc: &lt;eve&gt;</p>{red}a</p>{red}b</p>"
    assert part(message, "plain") == "Hi Ann Bcc: <eve>\n\na\n\nb"
    assert service.get(f"/api/emails/{sent}").json["template"] == {
        "id": made,
        "name": "welcome",
        "version": 1,
    }


def test_what_is_accepted_stays_as_it_is(app: APIFlask, service: Caller, sink: Sink) -> None:
    make(service)
    send(service, **ANN)
    service.put("/api/templates/welcome", {"subject": "New", "html": "<p>new</p>"})
    service.delete("/api/templates/welcome")
    (message,) = arrived(app, sink)
    assert (message["Subject"], part(message, "html")) == ("Hi Ann", "<p>Hi Ann</p>")


def test_a_version_may_be_named(service: Caller) -> None:
    make(service)
    service.put("/api/templates/welcome", {"subject": "New {{ name }}"})
    subjects = [
        service.get(f"/api/emails/{send(service, **ANN, **version)}").json["subject"]
        for version in ({}, {"template_version": 1}, {"template_version": 2})
    ]
    assert subjects == ["New Ann", "Hi Ann", "New Ann"]
    response = service.post("/api/emails", TO | ANN | {"template_version": 3})
    assert (response.status_code, response.json["details"][0]["field"]) == (400, "template_version")


@pytest.mark.parametrize(("given", "subject", "html", "text"), [
    ({"subject": "Mine"}, "Mine", "<p>Hi Ann</p>", "Text Ann"),
    ({"html_content": "<b>mine</b>"}, "Hi Ann", "<b>mine</b>", "Text Ann"),
    ({"text_content": "mine"}, "Hi Ann", "<p>Hi Ann</p>", "mine"),
    ({"subject": "{{ name }}", "html_content": "<b>{{ name }}</b>"}, "{{ name }}", "<b>{{ name }}</b>", "Text Ann"),
])  # fmt: skip
def test_what_an_email_brings_itself_goes_first(
    app: APIFlask, service: Caller, sink: Sink, given: dict[str, str], subject: str, html: str, text: str
) -> None:
    make(service, text="Text {{ name }}")
    send(service, **ANN, **given)
    (message,) = arrived(app, sink)
    assert (message["Subject"], part(message, "html"), part(message, "plain")) == (subject, html, text)


def test_a_part_that_is_not_needed_is_not_rendered(service: Caller) -> None:
    make(service, html="{{ nobody }}", text="x")
    assert send(service, template="welcome", subject="x", html_content="<p>x</p>")


def test_a_batch_of_templates_and_others(app: APIFlask, service: Caller, sink: Sink) -> None:
    made = make(service)
    names = [f"N{number}" for number in range(20)]
    items = [TO | {"template": made, "variables": {"name": name}} for name in names]
    plain = TO | {"subject": "plain", "text_content": "x"}
    wrong = [
        TO | {"template": "welcome"},
        TO | {"template": "nobody"},
        TO | ANN | {"template_version": 7},
        TO,
    ]
    answer = service.post("/api/emails/batch", {"emails": [*items, *wrong, plain]}).json
    assert (answer["accepted"], answer["rejected"]) == (21, 4)
    errors = [(one["error"]["field"], one["error"]["code"]) for one in answer["results"] if "error" in one]
    assert errors == [
        ("variables.name", "MISSING_VARIABLE"), ("template", "UNKNOWN_TEMPLATE"),
        ("template_version", "UNKNOWN_TEMPLATE"), ("subject", "MISSING"),
    ]  # fmt: skip
    subjects = sorted(str(one["Subject"]) for one in arrived(app, sink, 21))
    assert subjects == sorted([f"Hi {name}" for name in names] + ["plain"])
    strict = service.post("/api/emails/batch", {"mode": "strict", "emails": [items[0], wrong[0]]})
    assert (strict.status_code, strict.json["details"][0]["field"]) == (400, "emails.1.variables.name")


WRONG: list[tuple[dict[str, Any], str | None, str | None]] = [
    ({"template": "nobody"}, "template", "UNKNOWN_TEMPLATE"), ({"template": 99}, "template", "UNKNOWN_TEMPLATE"),
    ({"template": "9" * 30}, "template", "UNKNOWN_TEMPLATE"), ({"template": ""}, None, None),
    ({"template": "welcome"}, "variables.name", "MISSING_VARIABLE"),
    ({"template": "welcome", "variables": [1]}, "variables", None),
    ({"subject": "x", "text_content": "x", "variables": {"a": 1}}, "variables", "NO_TEMPLATE"),
    ({"subject": "x", "text_content": "x", "template_version": 1}, "template_version", "NO_TEMPLATE"),
    ({"text_content": "x"}, "subject", "MISSING"), ({}, "subject", "MISSING"),
    ({"template": "welcome", "variables": {"name": "x" * 256_000}}, "variables", None),
    ({"template": "welcome", "variables": {"a": [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}}, "variables", None),
]  # fmt: skip


def test_what_is_wrong_is_named(service: Caller) -> None:
    make(service)
    for fields, field, code in WRONG:
        response = service.post("/api/emails", TO | fields)
        assert response.status_code == 400
        found = [(one["field"], one["code"]) for one in response.json["details"]]
        assert field is None or any(one == field and code in (None, other) for one, other in found), found
    assert service.get("/api/emails").json["emails"] == []


def test_a_repeated_request_is_not_rendered_again(service: Caller) -> None:
    make(service)
    headers = {"Idempotency-Key": "k"}
    first = service.post("/api/emails", TO | ANN, headers=headers)
    service.delete("/api/templates/welcome")
    again = service.post("/api/emails", TO | ANN, headers=headers)
    assert (again.json, again.headers["Idempotent-Replayed"]) == (first.json, "true")


def test_templates_are_their_owners(service: Caller, tenant_a: Caller) -> None:
    """By name and by id, of an email and within another template."""
    made = make(service)
    for reference in ("welcome", made):
        response = tenant_a.post("/api/emails", TO | {"template": reference, "variables": {"name": "x"}})
        assert (response.status_code, response.json["code"]) == (400, "UNKNOWN_TEMPLATE")
        make(tenant_a, name=f"thief-{reference}", html=f"{{% include '{reference}' %}}")
        response = tenant_a.post(
            "/api/emails", TO | {"template": f"thief-{reference}", "variables": {"name": "x"}}
        )
        assert (response.status_code, response.json["code"]) == (400, "UNKNOWN_TEMPLATE")
    as_a = service.post("/api/emails", TO | ANN, headers={"X-Tenant-ID": "tenant-a"})
    assert as_a.status_code == 400
    own = make(tenant_a, html="<p>of a</p>")
    sent = send(tenant_a, **ANN)
    assert tenant_a.get(f"/api/emails/{sent}").json["template"]["id"] == own
    assert "of a" in tenant_a.get(f"/api/emails/{sent}/raw").get_data(as_text=True)


def test_emails_are_found_by_their_template(service: Caller, tenant_a: Caller) -> None:
    made = make(service)
    sent = [send(service, **ANN) for _ in range(2)]
    send(service, subject="x", text_content="x")
    make(tenant_a)
    send(tenant_a, **ANN)
    for reference in ("welcome", made):
        found = service.get(f"/api/emails?template={reference}&status=queued").json["emails"]
        assert [one["id"] for one in found] == sent[::-1]
    assert tenant_a.get(f"/api/emails?template={made}").json["emails"] == []
    assert service.get("/api/emails?template=nobody").json["code"] == "UNKNOWN_TEMPLATE"


LAYOUT = (
    "<style>p { color: red } .foot { top: 0 }</style><body>{% block body %}{% endblock %}"
    "{% include 'foot' %}<p>{{ company|default('Us') }}</p></body>"
)  # fmt: skip


def test_templates_share_a_layout(app: APIFlask, service: Caller, sink: Sink) -> None:
    make(service, name="foot", html="<p class='foot'>Bye {{ name }}</p>", subject="x")
    make(service, name="layout", html=LAYOUT, text="-- {% block body %}{% endblock %} --", subject="x")
    macro = "{% macro shout(x) %}<p>{{ x|upper }}!</p>{% endmacro %}"
    make(service, name="macros", html=macro, subject="x")
    child = "{% extends 'layout' %}{% block body %}{% from 'macros' import shout %}{{ shout(name) }}{% endblock %}"
    make(service, html=child, text="{% extends 'layout' %}{% block body %}{{ name }}{% endblock %}")
    send(service, template="welcome", variables={"name": "Ann & Bo"})
    (message,) = arrived(app, sink)
    red = 'style="color: red;'
    assert part(message, "html") == (
        f'<html><head></head><body><p {red}">ANN &amp; BO!</p>'
        f'<p class="foot" {red}top: 0;">Bye Ann &amp; Bo</p><p {red}">Us</p></body></html>'
    )
    assert part(message, "plain") == "-- Ann & Bo --"
    assert service.get("/api/templates/welcome").json["css_inlined"] == "at render"
    preview = service.post("/api/templates/welcome/preview", {}).json
    assert (preview["variables"], preview["optional"]) == (["company", "name"], ["company"])
    service.put("/api/templates/foot", {"html": "<p>{{ nobody }}</p>"})
    response = service.post("/api/emails", TO | ANN)
    assert response.json["details"][0] == {
        "field": "variables.nobody", "message": "is missing (html of foot, line 1)", "code": "MISSING_VARIABLE",
    }  # fmt: skip


BOUNDED = [
    ("{% include 'welcome' %}", "TEMPLATE_LIMIT"), ("{% extends 'welcome' %}", "TEMPLATE_LIMIT"),
    ("{% for x in range(999) %}{% include 'leaf' %}{% endfor %}", "TEMPLATE_LIMIT"),
    ("{% import 'welcome' as w %}", "TEMPLATE_LIMIT"), ("{% include 'plain' %}", "UNKNOWN_TEMPLATE"),
    ("{% include ['no', 'nor'] %}", "UNKNOWN_TEMPLATE"), ("{% include 7 %}", "TEMPLATE_ERROR"),
    ("{% include [] %}", "UNKNOWN_TEMPLATE"), ("{% include nobody %}", "MISSING_VARIABLE"),
    ("{% from 'leaf' import nothing %}{{ nothing() }}", "TEMPLATE_ERROR"),
]  # fmt: skip


def test_what_is_included_has_bounds(service: Caller) -> None:
    make(service, name="leaf", html="x")
    make(service, name="plain", html=None, text="x")
    make(service, html="x")
    for html, code in BOUNDED:
        assert service.put("/api/templates/welcome", {"html": html}).status_code == 200
        response = service.post("/api/emails", TO | ANN)
        assert (response.status_code, response.json["code"]) == (400, code), html
        shown = service.post("/api/templates/welcome/preview", {"variables": {"name": "x"}})
        assert shown.status_code in (200, 400)


def test_what_may_be_absent(service: Caller) -> None:
    make(service, name="leaf", html="leaf")
    make(
        service,
        html="{% include 'nobody' ignore missing %}{% include ['nobody', 'leaf'] %}{% include which %}",
    )
    sent = send(service, template="welcome", variables={"name": "x", "which": "leaf"})
    assert "leafleaf" in service.get(f"/api/emails/{sent}/raw").get_data(as_text=True)


def test_the_renderings_of_a_request_have_a_bound_together(
    service: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(service)
    monkeypatch.setattr(finding, "MAX_PROCESSOR_SECONDS", -1.0)
    answer = service.post("/api/emails/batch", {"emails": [TO | ANN] * 3}).json
    assert [one["error"]["code"] for one in answer["results"]] == ["TEMPLATE_LIMIT"] * 3
    assert (
        service.post("/api/emails/batch", {"emails": [TO | {"subject": "x", "text_content": "x"}]}).json[
            "accepted"
        ]
        == 1
    )


def test_only_so_many_versions_stay_compiled(
    app: APIFlask, service: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.templates.compiled.KEPT", 2)
    for number in range(4):
        make(service, name=f"t{number}", subject=str(number))
    for number in (0, 1, 2, 3, 0, 3):
        sent = send(service, template=f"t{number}", variables={"name": "x"})
        assert service.get(f"/api/emails/{sent}").json["subject"] == str(number)
    assert len(app.extensions["mailferry"].templates._versions) == 2


def test_a_template_is_renamed_while_it_is_compiled(service: Caller) -> None:
    made = make(service)
    send(service, **ANN)
    service.put("/api/templates/welcome", {"name": "hello"})
    assert service.post("/api/emails", TO | ANN).json["code"] == "UNKNOWN_TEMPLATE"
    sent = send(service, template="hello", variables={"name": "x"})
    assert service.get(f"/api/emails/{sent}").json["template"] == {"id": made, "name": "hello", "version": 1}
