"""What templates become, without a database."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape

from services.errors import InvalidInputError
from services.templates.compiled import Library, Version
from services.templates.finding import Shelf
from services.templates.rendering import render
from tests.templates.making import html_of, made, refusal, version

ORDER = {"id": 7, "items": [{"title": "A kettle", "price": 9.5}, {"title": "Tea", "price": 3}]}


def test_html_is_escaped_and_text_is_not() -> None:
    done = made("<b>{{ name }}</b>", "{{ name }}", "For {{ name }}", name="<i>&'\"")
    assert done.html == "<b>&lt;i&gt;&amp;&#39;&#34;</b>"
    assert (done.text, done.subject) == ("<i>&'\"", "For <i>&'\"")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80))
def test_whatever_a_variable_holds_it_is_shown_as_text(value: str) -> None:
    done = made("<p>{{ a }}</p>", "{{ a }}", "x{{ a }}x", a=value)
    assert (done.html, done.text) == (f"<p>{escape(value)}</p>", value)
    assert done.subject is not None
    assert done.subject.splitlines() == [done.subject]
    if value.splitlines() == [value]:
        assert done.subject == f"x{value}x"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


_PIECES = [
    "{{ a }}", "{{ a|tojson }}", "{{ a|upper }}", "{% for x in b %}{{ x }}{{ loop.index }}{% endfor %}", "{{ a.b.c }}",
    "{{ b[0] }}", "{{ a + b }}", "{{ a ~ b }}", "{% if a < b %}{{ b|join(',') }}{% endif %}", "{{ range(3)|list }}",
    "{{ a[1:] }}", "{{ a * b }}", "{{ a % b }}", "{{ a.items }}", "{{ '%s' % a }}", "{{ a|sort|first }}", "{{ self }}",
]  # fmt: skip
_TRIED = [version(piece) for piece in _PIECES]


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from(["a", "b", "range", "self", "loop"]), _JSON))
def test_any_variables_are_rendered_or_refused(variables: dict[str, Any]) -> None:
    """Nothing but a 400 comes of them, and of two renderings the same."""
    for one in _TRIED:
        first, second = [outcome(one, variables) for _ in range(2)]
        assert first == second


def outcome(tried: Version, variables: dict[str, Any]) -> str | None:
    try:
        return render(tried, variables, Shelf(Library(), "")).html
    except InvalidInputError as exc:
        return exc.message


def test_a_key_goes_before_a_method_of_the_same_name() -> None:
    source = "{% for item in order.items %}{{ item.title }};{% endfor %}"
    assert html_of(source, order=ORDER) == "A kettle;Tea;"
    source = "{% for k, v in order['items'][1].items() %}{{ k }}={{ v }} {% endfor %}"
    assert html_of(source, order=ORDER) == "title=Tea price=3 "


def test_null_is_shown_as_nothing() -> None:
    assert html_of("[{{ a }}]{{ 'x' if a is none }}", a=None) == "[]x"


@pytest.mark.parametrize(("expression", "shown"), [
    ("'%.2f'|format(9.5)", "9.50"), ("'{:.2f} {x}'.format(9.5, x='<')", "9.50 &lt;"), ("'%s' % 'x'", "x"),
    ("a[1:3]", "bc"), ("a ~ 1", "abcd1"), ("2 * 3 ** 2", "18"), ("a|upper", "ABCD"), ("a.title()", "Abcd"),
    ("l|join(', ')", "1, 2, 3"), ("l|sum", "6"), ("l|map('string')|list|length", "3"), ("1 < 2 < 3", "True"),
    ("3 > 2 > 2", "False"), ("'b' in a", "True"), ("9 not in l", "True"), ("l|batch(2)|first|length", "2"),
    ("l|select('gt', 1)|join('+')", "2+3"), ("a|replace('b', '<b>')", "a&lt;b&gt;cd"), ("'x\\ny'|nl2br", "x<br>\ny"),
    ("[1, a]|length", "2"), ("{'k': a}|tojson", '{&#34;k&#34;: &#34;abcd&#34;}'), ("{'k': a}.k", "abcd"),
    ("l[-1]", "3"),
    ("(1, 2)|last", "2"), ("a|wordwrap(10)", "abcd"), ("'<b>x</b>'|striptags", "x"),
    ("a|truncate(3, true, '', 0)", "abc"),
    ("o|dictsort|length", "1"), ("a|center(6)", " abcd "), ("l|sort(reverse=true)|first", "3"),
    ("2.567|round(1)", "2.6"),
    ("'1'|int + 1", "2"), ("l|max", "3"), ("'a b'|urlencode", "a%20b"), ("1536|filesizeformat", "1.5 kB"),
])  # fmt: skip
def test_filters_and_operators_work(expression: str, shown: str) -> None:
    done = html_of("{{ " + expression + " }}", a="abcd", l=[1, 2, 3], o={"k": 1})
    assert done.replace('"', "&#34;") == shown


@pytest.mark.parametrize(("source", "path", "line"), [
    ("{{ nobody }}", "nobody", 1),
    ("\n\n{{ order.shipped }}", "order.shipped", 3),
    ("\n{{ order['items'][1].color }}", "order.items.1.color", 2),
    ("{% for item in order.items %}\n{{ item.color }}{% endfor %}", "order.items.0.color", 2),
    ("{% for x in orders %}{% endfor %}", "orders", 1),
    ("{% if paid %}{% endif %}", "paid", 1),
    ("{{ nobody|upper }}", "nobody", 1),
    ("{{ 'a' ~ nobody }}", "nobody", 1),
    ("{{ nobody.name }}", "nobody", 1),
    ("{{ 1 + nobody }}", "nobody", 1),
    ("{{ nobody == 1 }}", "nobody", 1),
    ("{{ 'a' in nobody }}", "nobody", 1),
    ("{{ [nobody]|tojson }}", "nobody", 1),
    ("{% for x in empty.items %}{% endfor %}", "empty.items", 1),
    ("{{ empty.keys }}", "empty.keys", 1),
])  # fmt: skip
def test_a_missing_variable_is_named_with_its_line(source: str, path: str, line: int) -> None:
    field, code, message = refusal(source, order=ORDER, empty={})
    assert (field, code) == (f"variables.{path}", "MISSING_VARIABLE")
    assert message == f"is missing (html, line {line})"


def test_what_may_be_missing_is_asked_for_as_jinja_does() -> None:
    source = "{{ a|default('x') }}{{ 'y' if b is defined else 'n' }}{{ order.none|d('z') }}"
    assert html_of(source, order=ORDER) == "xnz"


@pytest.mark.parametrize(("source", "line", "reason"), [
    ("{% if a %}", 1, "end of template"), ("\n{{ a", 2, ""), ("{% nonsense %}", 1, "unknown tag"),
    ("\n\n{{ a|nonsense }}", 3, "No filter named"), ("{{ a is nonsense }}", 1, "No test named"),
    ("{% autoescape false %}{{ a }}{% endautoescape %}", 1, "not available"),
    ("{% for x in a recursive %}{{ loop(x) }}{% endfor %}", 1, "not available"),
    ("{{ a|random }}", 1, "No filter named"), ("{{ a|pprint }}", 1, "No filter named"),
])  # fmt: skip
def test_a_mistake_is_named_with_its_line(source: str, line: int, reason: str) -> None:
    field, code, message = refusal(source, a="x")
    assert (field, code) == ("html", "TEMPLATE_SYNTAX")
    assert message.startswith(f"line {line}: ") and reason in message


@pytest.mark.parametrize(("source", "reason"), [
    ("{{ l }}", "not a list"), ("{{ o }}", "not an object"), ("{{ l ~ 1 }}", "not a list"), ("{{ 1 / 0 }}", "division"),
    ("{{ 'a' + 1 }}", "html, line 1"), ("{{ ['a']|sum }}", "numbers"),
    ("{{ range }}", "cannot be shown"), ("{{ a() }}", "not callable"),
])  # fmt: skip
def test_other_errors_say_where(source: str, reason: str) -> None:
    field, code, message = refusal(source, l=[1], o={"a": 1}, a="x")
    assert (field, code) == ("template", "TEMPLATE_ERROR")
    assert reason in message


def test_several_mistakes_are_all_named() -> None:
    with pytest.raises(InvalidInputError) as caught:
        version("{% if %}", "{{", "{{ a|nope }}")
    assert [one.field for one in caught.value.details] == ["subject", "html", "text"]


def test_a_template_needs_html_or_text() -> None:
    with pytest.raises(InvalidInputError) as caught:
        version("", None)
    assert caught.value.code == "MISSING_CONTENT"


def test_two_renderings_have_nothing_in_common() -> None:
    counting = "{% set ns = namespace(n=0) %}{% set ns.n = ns.n + 1 %}{{ ns.n }}"
    tried = counting + "{% set c = cycler('a', 'b') %}{{ c.next() }}"
    assert [html_of(tried) for _ in range(2)] == ["1a", "1a"]
