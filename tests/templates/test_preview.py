"""Previews show what would be sent and name what is missing; a test send goes through the queue."""

from __future__ import annotations

import pytest

from services.templates.compiled import Library, checked, used
from services.templates.finding import Shelf
from services.templates.rendering import render
from tests.support.app import Caller
from tests.templates.making import version
from tests.templates.test_storing import make

HTML = (
    "<p>{{ user.name }}</p>{% for item in order.items %}<i>{{ item.title }}</i>{% endfor %}"
    "{% if vip %}!{% endif %}{{ nick|default('-') }}"
)


def test_a_preview_shows_what_would_be_sent(service: Caller) -> None:
    make(service, html=HTML)
    variables = {"name": "x", "user": {"name": "<A>"}, "order": {"items": [{"title": "T"}]}, "vip": True}
    shown = service.post("/api/templates/welcome/preview", {"variables": variables}).json
    assert shown["html"] == "<p>&lt;A&gt;</p><i>T</i>!-"
    assert (shown["subject"], shown["text"], shown["text_derived"]) == ("Hi x", "<A>\n\nT!-", True)
    assert shown["variables"] == ["name", "nick", "order.items", "order.items[].title", "user.name", "vip"]
    assert (shown["optional"], shown["missing"], shown["version"]) == (["nick"], [], 1)


def test_what_is_missing_is_named_and_shown_in_its_place(service: Caller) -> None:
    make(service, html=HTML)
    shown = service.post("/api/templates/welcome/preview", {"variables": {"order": {"items": [{}]}}}).json
    assert shown["missing"] == ["name", "user.name", "order.items.0.title", "vip"]
    assert (shown["subject"], shown["html"]) == (
        "Hi {{ name }}",
        "<p>{{ user.name }}</p><i>{{ order.items.0.title }}</i>-",
    )
    assert service.post("/api/templates/welcome/preview", {}).json["missing"] == [
        "name",
        "user.name",
        "order.items",
        "vip",
    ]


EXPRESSIONS = [
    "a + 1", "1 + a", "a * 2", "-a", "a == 1", "a != 1", "a < 1", "1 in a", "a in [1]",
    "a ~ 'x'", "a|upper", "a|length",
    "a|join", "a|int", "a|float", "a|tojson", "a()", "a.b.c()", "a['b']", "a[0]", "not a", "a|sum", "a|first",
    "a|list|length",
    "a % 1", "'%s' % a", "'%s'|format(a)", "a|default(1, true)", "a|string", "a|replace('a', 'b')",
    "a[1:]", "[a]|tojson",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_preview_gets_by_without_a_variable(expression: str) -> None:
    tried = version("<p>{{ " + expression + " }}</p>")
    shown = render(tried, {}, Shelf(Library(), ""), lenient=True)
    assert "default" in expression or shown.missing[0].startswith("a")


def test_an_older_version_can_be_previewed(service: Caller) -> None:
    make(service)
    service.put("/api/templates/welcome", {"html": "<p>2</p>"})
    shown = service.post("/api/templates/welcome/preview", {"variables": {"name": "x"}, "version": 1}).json
    assert (shown["html"], shown["version"]) == ("<p>Hi x</p>", 1)
    assert service.post("/api/templates/welcome/preview", {"version": 3}).status_code == 404


def test_what_is_not_saved_is_held_to_the_same_rules(service: Caller) -> None:
    body = {
        "subject": "S {{ a }}",
        "html": "<style>p { color: red }</style><p>{{ a }}</p>",
        "variables": {"a": 1},
    }
    shown = service.post("/api/template-previews", body).json
    assert (shown["subject"], shown["html"], shown["version"]) == (
        "S 1",
        '<p style="color: red;">1</p>',
        None,
    )
    assert service.post("/api/template-previews", {"html": "{% if %}"}).json["code"] == "TEMPLATE_SYNTAX"
    assert (
        service.post("/api/template-previews", {"html": "{{ 'a' * 10**9 }}"}).json["code"] == "TEMPLATE_LIMIT"
    )
    assert service.get("/api/templates").json == []


def test_a_test_send_goes_through_the_queue(service: Caller) -> None:
    make(service)
    service.put("/api/templates/welcome", {"subject": "New"})
    body = {"to": "Ann <ann@example.com>", "variables": {"name": "x"}, "version": 1}
    answer = service.post("/api/templates/welcome/test", body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201
    sent = service.get(answer.headers["Location"]).json
    assert (sent["subject"], sent["recipients"], sent["status"]) == ("Hi x", ["ann@example.com"], "queued")
    assert (sent["template"]["version"], sent["tags"]) == (1, ["template-test"])
    again = service.post("/api/templates/welcome/test", body, headers={"Idempotency-Key": "k"})
    assert again.json == answer.json
    wrong = [{"to": "nobody"}, {"to": "a@example.com"}, {"to": "a@example.com", "version": 9}, {}]
    codes = [service.post("/api/templates/welcome/test", one).status_code for one in wrong]
    assert codes == [400, 400, 404, 400]


@pytest.mark.parametrize(("source", "names", "optional"), [
    ("{{ a.b.c }}{{ a['d'] }}{{ a[0].e }}", ["a.b.c", "a.d", "a[].e"], []),
    ("{% for x in l %}{% for y in x.m %}{{ y }}{{ y.z }}{% endfor %}{% endfor %}",
     ["l", "l[].m", "l[].m[]", "l[].m[].z"], []),
    ("{% set a = b %}{{ a }}{{ range(3) }}{{ loop }}", ["b", "loop"], []),
    ("{{ a|default('x') }}{{ b is defined }}{{ c|d }}", ["a", "b", "c"], ["a", "b", "c"]),
    ("{{ a|default('x') }}{{ a }}", ["a"], []),
    ("{{ a.upper() }}{{ a|join(b) }}", ["a", "b"], []),
    ("{% macro m(x) %}{{ x.y }}{{ z }}{% endmacro %}{{ m(a) }}", ["a", "z"], []),
    ("{% for k, v in o.items() %}{{ k }}{{ v }}{% endfor %}", ["o"], []),
    ("nothing", [], []),
])  # fmt: skip
def test_the_variables_that_a_template_uses(source: str, names: list[str], optional: list[str]) -> None:
    found = used(checked("x", source, None))
    assert (found.names, found.optional) == (names, optional)
