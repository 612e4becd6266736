"""CSS goes to where it applies: when a template is saved if that makes no difference, else when it is rendered."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import css_inline
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.errors import InvalidInputError
from services.templates import css
from services.templates.compiled import AT_RENDER, AT_SAVE, NONE, Library, Sources, Version, checked
from services.templates.finding import Shelf
from services.templates.rendering import render
from tests.templates.making import html_of, version

STYLE = (
    "<style>p { color: red } .row td { padding: 1px } a:hover { color: blue }"
    " @media print { p { color: black } }</style>"
)
LIST = (
    STYLE + "<body><p>Hi {{ name }}</p><table>"
    "{% for x in l %}<tr class='row'><td>{{ x.title if x.title > '' else '}}' }}"
    "<a href=\"{{ x.url }}?a=1&b=2\">x</a></td></tr>{% else %}<tr><td>none</td></tr>{% endfor %}</table>"
    "{# a remark #}{% if name %}<p>by {{ name }}</p>{% endif %}</body>"
)  # fmt: skip


def test_what_a_send_costs_nothing_is_inlined_at_save() -> None:
    saved = version(LIST).sources
    assert saved.css == AT_SAVE
    assert saved.inlined is not None
    assert '<p style="color: red;">Hi {{ name }}</p>' in saved.inlined
    done = html_of(LIST, name="<A>", l=[{"title": "T", "url": "http://x/"}])
    assert '<p style="color: red;">Hi &lt;A&gt;</p>' in done
    assert '<td style="padding: 1px;">T<a href="http://x/?a=1&amp;b=2">x</a></td>' in done
    assert "a:hover" in done and "@media print" in done and ".row td" not in done


@pytest.mark.parametrize("source", [
    STYLE + '<p class="{{ c }}">x</p>', STYLE + '<p style="margin: {{ m }}px">x</p>', STYLE + "<p>{{ x|safe }}</p>",
    STYLE + "{% if c %}<p class=a>{% else %}<p class=b>{% endif %}x</p>",
    STYLE + "<p {% if c %}class=a{% endif %}>x</p>",
    STYLE + "{% macro m() %}<p>x</p>{% endmacro %}<div>{{ m() }}</div>", STYLE + "{% raw %}<p>{{ }}</p>{% endraw %}",
    "<style>p { color: {{ c }} }</style><p>x</p>",
    "<style>p + p { color: red }</style><p>a</p>{% if c %}<p>b</p>{% endif %}",
    "<style>p:first-child { color: red }</style>{% for x in l %}<p>{{ x }}</p>{% endfor %}",
    "{% if c %}" + STYLE + "{% endif %}<p>x</p>", STYLE + "<table>{{ x }}<tr><td>y</td></tr></table>",
    STYLE + "{% set b %}<p>x</p>{% endset %}<div>{{ b }}</div>", STYLE + "{% include 'other' %}",
    STYLE + "<p>&#123;&#123; x }}</p>",
])  # fmt: skip
def test_what_might_make_a_difference_waits_until_it_is_rendered(source: str) -> None:
    assert version(source).sources.css == AT_RENDER


def test_without_css_html_stays_as_it_is() -> None:
    source = "<P>a<br/>{{ a }}<td>"
    assert version(source).sources.css == NONE
    assert html_of(source, a="b") == "<P>a<br/>b<td>"


def test_at_render_it_applies_to_what_was_rendered() -> None:
    done = html_of(STYLE + '<p class="{{ c }}">x</p><style>.big { font-size: 9px }</style>', c="big")
    assert '<p class="big" style="color: red;font-size: 9px;">x</p>' in done


def test_css_for_some_media_is_left_alone() -> None:
    for media in ('media="print"', "media=print", "MEDIA='only screen and (max-width: 9px)'"):
        done = html_of(
            f"<style {media}>p {{ color: black }}</style><style>p {{ color: red }}</style><p>x</p>"
        )
        assert '<p style="color: red;">x</p>' in done
        assert "p { color: black }" in done and "data-css-inline" not in done
    assert 'style="color: red;"' in html_of("<style media=screen>p { color: red }</style><p>x</p>")


@pytest.fixture
def lure() -> Iterator[tuple[str, list[str]]]:
    """A web server, and what was asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_nothing_is_loaded(lure: tuple[str, list[str]], tmp_path: Path) -> None:
    url, asked = lure
    (tmp_path / "x.css").write_text("p { color: green }")
    links = "".join(
        f'<link rel="stylesheet" href="{one}">'
        for one in (f"{url}/a.css", f"{tmp_path}/x.css", f"file://{tmp_path}/x.css")
    )
    sheet = f"<style>@import url('{url}/b.css'); p {{ color: red; background: url({url}/c.png) }}</style>"
    for source in (links + sheet + "<p>x</p>", links + sheet + '<p class="{{ c }}">x</p>'):
        done = html_of(source, c="c")
        assert "color: red" in done and "green" not in done
    assert asked == []


@pytest.mark.parametrize(
    "sheet", ["p {", "}}}", "p { color: }", "@media {", "<!--", "p{x:" + "a" * 9_999, "\u2028{", "*" * 999]
)
def test_broken_css_does_no_harm(sheet: str) -> None:
    assert "x</p>" in html_of(f"<style>{sheet}</style><p>x</p>")


def test_too_much_css_is_refused() -> None:
    source = f"<style>{'p { color: red }' * 9_000}</style>" + "<p>x</p>" * 3_000
    with pytest.raises(InvalidInputError) as caught:
        checked("x", source, None)
    assert (caught.value.code, caught.value.field) == ("INVALID_CSS", "html")


# Templates put together from what may stand in one, so that some can be inlined at save and some cannot.
_TEXT = st.sampled_from(
    ["{{ a }}", "x", "&amp;", "{{ b }}", "{# c #}", " ", "&nbsp;\u00e4", "<br>", "<!-- {{ a }} -->"]
)
_ELEMENTS = st.recursive(
    _TEXT,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["p", "div", "b", "table", "tr", "td", "a", "span"]), inner).map(
            lambda one: f"<{one[0]} class='k' title=\"{{{{ a }}}}\">{one[1]}</{one[0]}>"
        ),
        inner.map(lambda one: "{% if c %}" + one + "{% endif %}"),
        inner.map(lambda one: "{% for x in l %}" + one + "{{ x }}{% endfor %}"),
        st.lists(inner, max_size=3).map("".join),
    ),
    max_leaves=9,
)
_SHEET = (
    "<style>p { color: red } .k b { margin: 1px } div > p { top: 0 } td { left: 1px }"
    " @media print { p { color: blue } }</style>"
)
_VALUES = st.text(alphabet="a<>&\"'{}% ", max_size=6)


def tree(html: str) -> str:
    """As a browser's parser reads it, written out, but for the rules that are left, for they may match nothing."""
    read = css_inline.inline(
        html, inline_style_tags=False, keep_style_tags=True, load_remote_stylesheets=False
    )
    return re.sub(r"<style>.*?</style>", "", read, flags=re.DOTALL)


@settings(deadline=None, max_examples=100)
@given(_ELEMENTS, _VALUES, _VALUES, st.booleans(), st.lists(_VALUES, max_size=3))
def test_inlining_at_save_makes_no_difference(body: str, a: str, b: str, c: bool, l: list[str]) -> None:  # noqa: E741
    saved = checked("x", _SHEET + body, None)
    if saved.css == AT_SAVE:
        variables = {"a": a, "b": b, "c": c, "l": l}
        early = rendered(saved, **variables)
        late = rendered(Sources("x", saved.html, None, AT_RENDER), **variables)
        assert tree(early) == tree(late)


def rendered(sources: Sources, **variables: Any) -> str:
    html = render(Version(0, "x", 1, sources), variables, Shelf(Library(), "")).html
    assert html is not None
    return html


def test_the_property_is_not_empty() -> None:
    """Some of its templates are inlined at save."""
    body = "<p class='k'>{{ a }}<b>x</b></p>{% for x in l %}<td>{{ x }}</td>{% endfor %}"
    assert (
        checked(
            "x",
            _SHEET + "<table><tr>{% for x in l %}<td class='k'>{{ x }}</td>{% endfor %}</tr></table>",
            None,
        ).css
        == AT_SAVE
    )
    assert checked("x", _SHEET + body, None).css in (AT_SAVE, AT_RENDER)
    assert css.has_css(_SHEET)
