"""Strangers' html is mended before a parser sees it: what that costs is known from what is written."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import nh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils import html_frame, safe_html
from utils.html_frame import TooMuchError, framed
from utils.html_tags import VOID

TAG = re.compile(r"<(/?)([a-z0-9]+)[^<]*>")
LARGE = 200_000


def frame(html: str) -> str:
    return framed(html, safe_html._ALLOWED)


class Checker(HTMLParser):
    """Each element is closed in its place; how deep they stand, and what they say."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.deepest = 0
        self.said = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)) < 30
        if tag not in VOID:
            self.open.append(tag)
            self.deepest = max(self.deepest, len(self.open))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")


def fonts(number: int) -> str:
    return "".join(f"<font color=c{one}>" for one in range(number))


def repeated(piece: str) -> str:
    return piece * (LARGE // len(piece))


HOSTILE = {
    "formats opened anew": "<div>" + fonts(300) + "</div>" + repeated("<div>x</div>"),
    "formats in items": fonts(300) + repeated("<li>x"), "formats in paragraphs": fonts(300) + repeated("<p>x"),
    "formats in cells": "<table>" + repeated("<td><b>"), "formats in tables": repeated("<table><font>") + "x",
    "formats around blocks": "".join(f"<b lang={one}><div></b>" for one in range(8_000)),
    "formats around many blocks": "".join(f"<b lang={one}>{'<div>' * 10}</b>{'</div>' * 10}" for one in range(1_700)),
    "links": repeated("<a><div>"), "crossed": repeated("<b><i><a></b></i></a>"),
    "formats in a comment": repeated("<font color=red><!--</font>-->"),
    "deep in a comment": repeated("<div><!--</div>-->"),
    "deep in an attribute": repeated("<div><p a='</div>'>"),
    "deep in a script": repeated("<div><script></div></script>"),
    "deep in svg": repeated("<div><svg></div></svg>"), "deep in an open svg": "<svg>" + repeated("<div></svg>"),
    "deep beyond cells": repeated("<div><table><tr><td></div>"),
    "deep in headers": "<table>" + repeated("<div><td></div>"),
    "deep": repeated("<div>"), "deep in spans": repeated("<span><div></span>"), "deep in lists": repeated("<ul><li>"),
    "looked through": "<div>" * 990 + repeated("<h1></h1>"),
    "looked through for p": "<p>" + "<td>" * 900 + repeated("<h1>"),
    "looked through for span": "<span>" + "<div>" * 900 + repeated("</span>"),
    "looked through for li": "<li>" + "<span>" * 900 + repeated("<li>"), "in a table": "<table>" + repeated("<hr>"),
    "said in a table": "<table>" + repeated("<tr>x"), "references": repeated("&"), "tags": "<br>" * 250_000,
    "attributes": "<p " + " ".join(f"a{one}=1" for one in range(50_000)) + ">",
    "known attributes": "<p " + repeated("title=1 ") + ">", "an open attribute": repeated("<a '"),
    "brackets": repeated("<"), "ends": "<b>" * 900 + repeated("</i>"), "one long": "<p title='" + "x" * LARGE,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_parser_has_to_do_is_bounded(name: str) -> None:
    """By the tags that it gets, and the depth at which they stand; of which it makes no more elements than these."""
    try:
        mended = frame(HOSTILE[name])
    except TooMuchError:
        return
    assert Checker(mended).deepest <= html_frame.DEEPEST
    assert len(mended) <= 3 * len(HOSTILE[name]) + 2 * html_frame.LONGEST_MENDING
    steps = depth = 0
    for end, tag in TAG.findall(mended):
        depth += -1 if end else tag not in VOID
        steps += depth
    assert steps <= 2 * html_frame.MOST_STEPS
    made = nh3.clean(mended, tags=safe_html._TAGS)
    assert made.count("<") <= 2 * mended.count("<") + 10


@pytest.mark.parametrize(
    "name", ["formats opened anew", "deep in a comment", "in a table", "looked through", "tags"]
)
def test_what_would_be_too_much_is_not_begun(name: str) -> None:
    with pytest.raises(TooMuchError):
        frame(HOSTILE[name])


@pytest.mark.parametrize(
    ("sloppy", "mended"),
    [
        ("<p>one<p>two", "<p>one</p><p>two</p>"),
        ("<ul><li>one<li>two<ul><li>in</ul><li>three</ul>",
         "<ul><li>one</li><li>two<ul><li>in</li></ul></li><li>three</li></ul>"),
        ("<dl><dt>a<dd>b<dt>c</dl>", "<dl><dt>a</dt><dd>b</dd><dt>c</dt></dl>"),
        ("<table><tr><td>1<td>2<tr><td>3</table>x",
         "<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>x"),
        ("<b>one<i>two</b>three</i>", "<b>one<i>two</i></b><i>three</i>"),
        ("<div><b>one</div>two", "<div><b>one</b></div><b>two</b>"),
        ("<b><p>one</b></p>two", "<b><p>one</p></b>two"),
        ("<font color=red><p>one<p>two</font>three", '<font color="red"><p>one</p><p>two</p></font><p>three</p>'),
        ("<table><tr><td><b>one</td><td>two</table>three",
         "<table><tr><td><b>one</b></td><td>two</td></tr></table>three"),
        ("<b><table><tr><td>one</b>two</table>three", "<b><table><tr><td>onetwo</td></tr></table>three</b>"),
        ("<a href=x>one<a href=y>two", '<a href="x">one</a><a href="y">two</a>'),
        ("<h1>one<h2>two</h1>", "<h1>one</h1><h2>two</h2>"),
        ("</div><td>one</p></b>two", "onetwo"),
        ("1 < 2 <3 <x>a</x> <!-- <b> --> & &lt;b>", "1 &lt; 2 &lt;3 a  & &lt;b>"),
        ("a<svg><g>b</g></svg>c<svg/>d<math>e", "acde"),
        ("<object>a<object>b</object>c</object>d<object>e", "de"),
        ("<IMG SRC=a.png ONERROR='x' src=b alt='\"'>", '<img src="a.png" alt="&quot;">'),
        ("<table><tr><td><table><tr><td>in</table></table>out",
         "<table><tr><td><table><tr><td>in</td></tr></table></td></tr></table>out"),
        ("<table><table><tr><td>one</table>", "<table></table><table><tr><td>one</td></tr></table>"),
    ],
)  # fmt: skip
def test_it_mends_as_browsers_do(sloppy: str, mended: str) -> None:
    assert frame(sloppy) == mended


WHOLE = (
    '<table width="600"><tbody><tr><td style="color:red">one<br><img src="x"><b>two</b></td></tr></tbody></table>'
    "<div><p>three <a href=\"https://x.test/?a=1&amp;b=2\"><font><i>four</i></font></a></p><ol><li>five</li></ol></div>"
    "<blockquote><blockquote><pre> six\n seven</pre></blockquote></blockquote>"
)  # fmt: skip


def test_what_is_well_made_stays_as_it_is() -> None:
    assert frame(WHOLE) == WHOLE


NAMES = "a b font i p div span li ul ol dd dt h1 h2 blockquote pre br hr center u".split()
PIECES = [f"<{one}>" for one in NAMES] + [f"</{one}>" for one in NAMES] + list("xyz")
IN_TABLES = [
    f"<{end}{one}>" for one in "table tr td th tbody caption colgroup col".split() for end in ("", "/")
]


@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_no_word_is_lost_nor_moved(pieces: list[str]) -> None:
    html = "".join(pieces)
    mended = Checker(frame(html))
    assert mended.said == "".join(one for one in pieces if len(one) == 1)
    assert Checker(frame(frame(html))).said == mended.said


@given(st.lists(st.sampled_from(PIECES + IN_TABLES * 2), max_size=60))
def test_it_is_always_whole(pieces: list[str]) -> None:
    mended = frame("".join(pieces))
    assert Checker(mended).said == "".join(one for one in pieces if len(one) == 1)
    assert frame(mended) == mended
