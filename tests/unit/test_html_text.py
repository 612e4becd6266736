"""Html to text: what a reader must still find, and that nothing an app sends can break or stall it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.html_text import html_to_text

UNHURRIED = settings(deadline=None)  # a busy machine may stall any example

MAIL = """<!DOCTYPE html><html><head><title>Receipt</title><style>p { color: red }</style>
<script>if (a < b) { document.write("<p>no</p>") }</script></head><body>
<div style="display:none">Preheader</div>
<table><tr><td><img src="https://cdn.example.com/logo.png" alt="Acme"></td></tr></table>
<h1>Thanks, Ann</h1>
<p>Your <b>order</b>
   is &euro;42 &amp; on its way.<br>See <a href="https://example.com/o?a=1&amp;b=2">your order</a>.</p>
<ul><li>Blue shirt</li><li>Socks</li></ul>
<table><tr><th>Item</th><th>Price</th></tr><tr><td>Socks</td><td>12</td></tr></table>
</body></html>"""

MAIL_TEXT = """Acme

Thanks, Ann

Your order is €42 & on its way.
See your order (https://example.com/o?a=1&b=2).

- Blue shirt
- Socks

Item | Price
Socks | 12"""

TAGS = [
    "a",
    "b",
    "blockquote",
    "br",
    "div",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "script",
    "style",
    "td",
    "tr",
    "ul",
]
ATTRIBUTES = [
    "",
    ' href="https://example.com/x"',
    " href=http://a",
    ' style="display: none"',
    " hidden",
    ' alt="pic"',
]
WORDS = st.text("abcdefgh", min_size=1, max_size=8)


def tags() -> st.SearchStrategy[str]:
    opening = st.builds("<{}{}>".format, st.sampled_from(TAGS), st.sampled_from(ATTRIBUTES))
    closing = st.sampled_from(TAGS).map("</{}>".format)
    return opening | closing


def test_it_reads_like_the_mail() -> None:
    assert html_to_text(MAIL) == MAIL_TEXT


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("a < b > c & d", "a < b > c & d"),
        ("<3 <<b>x</b> <", "<3 <x <"),
        ("a\r\nb\rc", "a b c"),
        ("x<b>y</b>z", "xyz"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<div><div>a<br></div></div><div>b</div>", "a\nb"),
        ("a<br><br>b<br><br><br><br>c", "a\n\nb\n\nc"),
        ("<h2>Head</h2>body", "Head\n\nbody"),
        ("a<hr>b", "a\n\n--------------------\n\nb"),
        ("<ol><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ol>", "1. a\n2. b\n  - c\n3. d"),
        ("<ul><li>a<br>b</li></ul>", "- a\n  b"),
        ("<blockquote>a<br>b</blockquote>c", "> a\n> b\n\nc"),
        ("x<pre>\n  a\n\n    b\n</pre>y", "x\n\n  a\n\n    b\n\ny"),
        ("<table><tr><td>a</td><td></td><td>c</td></tr><tr><td>d</td></tr></table>", "a | c\nd"),
        ('<img alt="A &amp; B"> c', "A & B c"),
        ("<img src=x>c", "c"),
        ("<!-- a --><!--[if mso]><p>b</p><![endif]--><![if !mso]>c<![endif]>", "c"),
        ("<STYLE>a</STYLE><Title>b</title>c<template>d</template>", "c"),
        ("<script>a</style></scripty></script >b", "b"),
        ('<p title="a > b">c</p>', "c"),
        ("<p title=it's>a</p><p title='b'>c</p>", "a\n\nc"),
        ("a<style>never closed", "a"),
        ("a<p class='never closed>b", "a"),
        ("a\x00b", "ab"),
    ],
)
def test_an_element_becomes(html: str, text: str) -> None:
    assert html_to_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<a href="https://example.com/">here</a>', "here (https://example.com/)"),
        ('<a href="https://example.com/">https://example.com/</a>', "https://example.com/"),
        ('<a href="https://example.com/">example.com</a>', "example.com"),
        ("<li><a href='https://example.com'>https://example.com</a>", "- https://example.com"),
        ('<a href="mailto:ann@example.com?subject=x">ann@example.com</a>', "ann@example.com"),
        ('<a href="mailto:ann@example.com">Ann</a>', "Ann (ann@example.com)"),
        ("<a href=https://a.example/?x=1>here</a>", "here (https://a.example/?x=1)"),
        ('<a href="https://a.example/"><img alt="Shop"></a>', "Shop (https://a.example/)"),
        ('<a href="https://a.example/"><img></a>', "https://a.example/"),
        ('<a href="https://a.example/"><div>Go</div></a><div>b</div>', "Go (https://a.example/)\nb"),
        (
            '<a href="https://a.example/">a<a href="https://b.example/">b',
            "a (https://a.example/)b (https://b.example/)",
        ),
        ('<a href="https://a.example/x\n y">a</a>', "a (https://a.example/x%20y)"),
        (
            '<a href="#top">a</a><a name="x">b</a><a href="javascript:alert(1)">c</a><a href="/rel">d</a>',
            "abcd",
        ),
    ],
)
def test_a_link_becomes(html: str, text: str) -> None:
    assert html_to_text(html) == text


@pytest.mark.parametrize(
    "hidden",
    [
        '<div style="display:none"><div>x</div><p>x</div>',
        "<span STYLE='color: red; DISPLAY : NONE'>x</span>",
        "<div hidden>x</div>",
        '<div hidden=""><a href="https://example.com">x</a></div>',
        '<img style="display:none" alt="x">',
    ],
)
def test_a_hidden_element_is_left_out(hidden: str) -> None:
    assert html_to_text(f"a {hidden} b") == "a b"


@pytest.mark.parametrize(
    "shown", ['<b class="hidden none">x</b>', '<b aria-hidden="true">x</b>', "<b style='display:block'>x</b>"]
)
def test_what_only_looks_hidden_is_kept(shown: str) -> None:
    assert html_to_text(f"a {shown} b") == "a x b"


def test_a_hidden_element_without_end_does_not_swallow_the_mail() -> None:
    assert html_to_text('<p style="display:none">pre<p>Hello</p>') == "pre\n\nHello"


@UNHURRIED
@given(st.text())
def test_it_never_raises_on_text(html: str) -> None:
    html_to_text(html)


@UNHURRIED
@given(
    st.lists(tags() | st.text(max_size=5) | st.sampled_from(['"', "'", "<", ">", "=", "&", "<!--", "-->"]))
)
def test_it_never_raises_on_broken_markup(pieces: list[str]) -> None:
    html_to_text("".join(pieces))


@UNHURRIED
@given(st.lists(tags() | WORDS))
def test_no_tag_is_left(pieces: list[str]) -> None:
    assert "<" not in html_to_text("".join(pieces))


@UNHURRIED
@given(st.lists(WORDS, min_size=1), st.sampled_from(["p", "div", "b", "li", "td", "h1", "blockquote", "pre"]))
def test_no_word_is_lost(words: list[str], tag: str) -> None:
    text = html_to_text("".join(f"<{tag}>{word}</{tag}> " for word in words))
    assert [word for word in text.replace("|", " ").split() if word not in ("-", ">")] == words


@UNHURRIED
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1))
def test_every_link_is_kept(links: list[tuple[str, str]]) -> None:
    text = html_to_text(
        "".join(f'<p><a href="https://example.com/{path}">{label}</a>' for path, label in links)
    )
    assert text.split("\n\n") == [f"{label} (https://example.com/{path})" for path, label in links]


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 100_000,
        "<b>" * 100_000 + "x" + "</b>" * 100_000,
        "<ul><li>x" * 50_000,
        "<blockquote>x" * 50_000,
        '<div style="display:none">' * 40_000,
        "<a " + " ".join(f"a{i}" for i in range(100_000)) + ">x",
        '<a ="' * 200_000,
        "<img alt='" + "'\"" * 400_000 + ">",
        "<style " * 140_000,
        "<style>" * 140_000,
        "<style>" + "</style " * 120_000,
        "<!--" * 250_000,
        "<" * 1_000_000,
        "&" * 1_000_000,
        "&#" + "9" * 1_000_000,
        "<&;\"'=/>\x00!--" * 80_000,
        "<a href=http://x>" + "y" * 10 + "<p>" * 300_000,
    ],
    ids=lambda html: html[:16],
)
def test_a_megabyte_of_anything_takes_little_time(html: str) -> None:
    started = time.process_time()
    html_to_text(html)
    assert time.process_time() - started < 10  # some 0.1 s; a quadratic step takes minutes
