"""What somebody might write into a template to look where it should not, or to stop the relay. Each ends in a 400, by
limits that count: the same on any machine."""

from __future__ import annotations

import time

import pytest

from services.templates import budget
from tests.templates.making import html_of, made, refusal

LOOKING = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ ()|attr('__class__') }}",
    "{{ ''|map(attribute='__class__')|list }}",
    "{{ [[]]|map(attribute='__class__')|first }}",
    "{{ [{}]|map(attribute='__class__.__mro__')|list|length }}",
    "{{ ([{}]|groupby('__class__')|first).grouper }}",
    "{{ [{}, {}]|sort(attribute='__class__')|list }}",
    "{{ '{0.__class__.__mro__}'.format(1) }}",
    "{{ '{a.__globals__}'.format(a=range) }}",
    "{{ '{a[__class__]}'.format(a='') }}",
    "{{ '%s'|format(self.__init__) }}",
    "{{ 'x'.format_map({'a': 1}) }}",
    "{{ range.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ cycler('a').__init__.__globals__ }}",
    "{{ joiner.__init__.__globals__.os }}",
    "{{ self._TemplateReference__context }}",
    "{{ self.__dict__ }}",
    "{% macro m() %}{% endmacro %}{{ m.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m._func }}",
    "{% block b %}{{ super.__self__ }}{% endblock %}",
    "{% for x in [1] %}{{ loop._iterator }}{% endfor %}",
    "{% for x in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
    "{{ [1]|map('pay for')|list }}",
    "{{ [[1]]|map('each one', -1000000)|list }}",
    "{{ o.update({'a': 2}) }}", "{{ l.append(1) }}", "{{ l.clear() }}", "{{ o.pop('a') }}",
    "{{ 'a'.encode() }}", "{{ 'a'.translate({}) }}", "{{ 'a'.join(['b']) }}", "{{ 'a'.ljust(1000) }}",
    "{{ 'a'.zfill(1000000000) }}", "{{ 'a'.expandtabs(1000000000) }}",
    "{{ config }}", "{{ request }}", "{{ g }}", "{{ lipsum(1000000) }}", "{{ dict }}",
    "{% include '/etc/passwd' %}", "{% include '../../.env' %}", "{% extends 'file:///etc/passwd' %}",
    "{% import 'os' as os %}{{ os }}", "{% from 'app' import serve %}{{ serve }}",
]  # fmt: skip

TOO_MUCH = [
    "{{ 'a' * 10**9 }}",
    "{{ 10**9 * 'a' }}",
    "{{ ['a'] * 10**9 }}",
    "{{ 'a' * 9999999 * 9999999 }}",
    "{{ 9 ** 9 ** 9 ** 9 ** 9 }}",
    "{% set n = namespace(x=9) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}{{ n.x }}",
    "{{ range(10**9)|list }}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(99) %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in range(9999) %}" + "x" * 9_999 + "{% endfor %}",
    "{% for a in range(9999) %}{{ big }}{% endfor %}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{% if a == b %}{% endif %}{% endfor %}{% endfor %}",
    "{% for a in range(9999) %}{% if big in big2 %}{% endif %}{% endfor %}",
    "{% set x %}{{ big }}{{ big }}{% endset %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40,
    "{% set x = big %}" + "{% set x = x ~ x %}" * 40,
    "{% set x = big %}" + "{% set x = x + x %}" * 40,
    "{% set x = [1] %}" + "{% set x = x + x %}" * 40,
    "{% set x = [1] %}" + "{% set x = [x, x, x, x] %}" * 40 + "{{ x|string }}",
    "{% set x = [1] %}" + "{% set x = {'a': x, 'b': x} %}" * 40 + "{{ x|tojson }}",
    "{% set x = [1] %}" + "{% set x = (x, x, x) %}" * 40 + "{{ x == x[0] }}",
    "{% set n = namespace(l=[]) %}{% for i in range(9999) %}{% set n.l = n.l + [big] %}{% endfor %}",
    "{% set n = namespace(l=[]) %}{% for i in range(9999) %}{% set n.l = [n.l, big[1:]] %}{% endfor %}",
    "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x|replace('a', 'aa') %}{% endfor %}",
    "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = [n.x, n.x]|join(n.x) %}{% endfor %}",
    "{% set n = namespace(x='\n') %}"
    "{% for i in range(99) %}{% set n.x = n.x|indent(99, true, true) ~ n.x %}{% endfor %}",
    "{{ range(9999)|map('string')|map('center', 999)|join }}",
    "{% for i in range(9999) %}{{ 'x'|center(999) }}{{ 'x'|center(999) }}{% endfor %}",
    "{{ 'x'|center(10**9) }}",
    "{{ 'x\ny'|indent(10**9) }}",
    "{{ [1]|batch(10**9, 'x')|list }}",
    "{{ 1.5|round(10**9, 'ceil') }}",
    "{{ '%999999999d' % 1 }}",
    "{{ '%999999999d'|format(1) }}",
    "{{ '%.999999999f'|format(1) }}",
    "{{ ('%999d' * 99999) % 1 }}",
    "{{ '{:>999999999}'.format(1) }}",
    "{{ '{:{w}}'.format(1, w=999999999) }}",
    "{{ '{:.999999999f}'.format(1.0) }}",
    "{{ ('{0:999}' * 99999).format(1) }}",
    "{{ {'a': 1}|tojson(999999999) }}",
    "{{ (big ~ big)|wordwrap(1) }}",
    "{{ ('<!---->' * 99999)|striptags }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "".join(f"{{% block b{n} %}}{{{{ self.b{n + 1}() }}}}{{{{ self.b{n + 1}() }}}}{{% endblock %}}" for n in range(40))
    + "{% block b40 %}{% endblock %}",
    "{% block b %}{{ self.b() }}{% endblock %}",
    "{% for x in range(9999) %}{% for y in range(99) %}{{ loop.changed(big ~ x) }}{% endfor %}{% endfor %}",
]  # fmt: skip

TOO_MUCH_TO_READ = [
    "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
    "{{ " + "-" * 5_000 + "1 }}",
    "{{ " + "not " * 5_000 + "1 }}",
    "{{ 1" + "+1" * 50_000 + " }}",
    "{{ 1" + " if 1 else 1" * 3_000 + " }}",
    "{{ a" + ".a" * 3_000 + " }}",
    "{{ a" + "|upper" * 3_000 + " }}",
    "{% if 1 %}" * 3_000 + "{% endif %}" * 3_000,
    "{% for x in a %}" * 30 + "{% endfor %}" * 30,
    "{{ a }}" * 30_000,
    "{{ " + "[" * 3_000 + "]" * 3_000 + " }}",
    "x" * 300_001,
]


@pytest.mark.parametrize("source", LOOKING)
def test_a_template_looks_at_nothing_but_its_variables(source: str) -> None:
    code = refusal(source, o={"a": 1}, l=[1])[1]
    assert code in (
        "TEMPLATE_ERROR",
        "TEMPLATE_SYNTAX",
        "MISSING_VARIABLE",
        "UNKNOWN_TEMPLATE",
        "TEMPLATE_LIMIT",
    )


@pytest.mark.parametrize("source", TOO_MUCH)
def test_what_takes_too_much_is_stopped(source: str) -> None:
    before = time.thread_time()
    assert refusal(source, big="b" * 100_000, big2="b" * 100_000)[1] in ("TEMPLATE_LIMIT", "TEMPLATE_ERROR")
    assert (
        time.thread_time() - before < 5
    )  # it is stopped by counting; this only tells a fence that is missing


@pytest.mark.parametrize("source", TOO_MUCH_TO_READ, ids=range(len(TOO_MUCH_TO_READ)))
def test_what_is_too_much_to_read_is_not_saved(source: str) -> None:
    field, code, _ = refusal(source, a="x")
    assert (field, code) in (("html", "TEMPLATE_SYNTAX"), ("html", "TOO_LONG"))


def test_what_a_large_email_needs_is_there() -> None:
    rows = [{"name": f"A thing with a name {n}", "price": n / 100} for n in range(2_000)]
    source = (
        "{% for row in rows %}<tr><td class='cell'>{{ loop.index }}</td><td>{{ row.name|title }}</td>"
        "<td>{{ '%.2f'|format(row.price) }}</td>{% if row.price > 10 %}<td>!</td>{% endif %}</tr>{% endfor %}"
    )
    assert html_of(source, rows=rows).count("<tr>") == 2_000


def test_work_is_counted_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One turn more than there is work for is refused, on any machine."""
    turn = budget.STEP + len("a") + budget.ITEM
    monkeypatch.setattr(budget, "MAX_WORK", turn * 300)
    assert html_of("{% for x in l %}a{% endfor %}", l=list(range(300))) == "a" * 300
    assert refusal("{% for x in l %}a{% endfor %}", l=list(range(301)))[1] == "TEMPLATE_LIMIT"


def test_what_computes_too_long_within_its_count_is_stopped_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MAX_PROCESSOR_SECONDS", -1.0)
    code = refusal("{% for x in range(9999) %}x{% endfor %}")[1:]
    assert code == ("TEMPLATE_LIMIT", "html, line 1: it takes too long")


@pytest.mark.parametrize(
    "value", ["x\r\nBcc: eve@example.com", "x\nBcc: y", "x\rBcc: y", "x\u2028y", "x\x0by", "x\x85y"]
)
def test_a_subject_stays_one_line(value: str) -> None:
    subject = made("x", subject="Hi {{ a }}\n\n{% if a %}there{% endif %}", a=value).subject
    assert subject is not None
    assert subject.startswith("Hi x ") and subject.endswith(" there")
    assert subject.splitlines() == [subject]


def test_a_template_cannot_make_what_json_may_not_hold() -> None:
    assert refusal(r"{{ '\x00' }}")[1] == "TEMPLATE_ERROR"
