"""The html of a stranger's mail, made fit to be shown: by nh3 (ammonia), which parses it as a browser does and writes
anew what is on a list of harmless things. Nothing in it runs, submits, or names an element; and unless asked for,
nothing is loaded from anywhere, so that the sender does not learn that the mail was read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from urllib.parse import unquote

import nh3

from utils.html_frame import TooMuchError, framed

_TAGS = frozenset("""
    a abbr acronym address b bdi bdo big blockquote br caption center cite code col colgroup dd del details dfn
    div dl dt em figcaption figure font h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q rp rt ruby s samp
    section small span strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr
""".split())  # fmt: skip
_WITH_CONTENT = frozenset(
    "script style svg math title iframe object embed applet noembed noframes noscript template textarea xmp select"
    " audio video canvas frameset".split()
)  # not the head: a body in one that nothing ends is still a body
_ATTRIBUTES = {
    "*": frozenset(
        "align bgcolor border cellpadding cellspacing color colspan dir face height lang rowspan size start style"
        " summary title type valign width".split()
    ),
    "a": frozenset({"href"}),
    "img": frozenset({"alt", "src"}),
}
_ALLOWED = {tag: _ATTRIBUTES["*"] | _ATTRIBUTES.get(tag, frozenset()) for tag in _TAGS}
_SET = {"a": {"target": "_blank"}, "img": {"referrerpolicy": "no-referrer"}}

_PROPERTIES = frozenset("""
    background background-color border border-bottom border-bottom-color border-bottom-style border-bottom-width
    border-collapse border-color border-left border-left-color border-left-style border-left-width border-radius
    border-right border-right-color border-right-style border-right-width border-spacing border-style border-top
    border-top-color border-top-style border-top-width border-width caption-side clear color direction display
    empty-cells float font font-family font-size font-style font-variant font-weight height letter-spacing line-height
    list-style list-style-position list-style-type margin margin-bottom margin-left margin-right margin-top max-height
    max-width min-height min-width overflow overflow-wrap padding padding-bottom padding-left padding-right padding-top
    table-layout text-align text-decoration text-indent text-transform unicode-bidi vertical-align visibility
    white-space width word-break word-spacing word-wrap
""".split())  # fmt: skip
# No escapes, comments, or quotes within quotes; and of functions only those that make a color.
_VALUE = re.compile(
    r"""(?:[\w\s#%.,+!-]|/(?!\*)|"[\w\s.,-]*"|'[\w\s.,-]*'|\b(?:rgb|rgba|hsl|hsla)\([\d\s.,%/]*\))*"""
)

_NEGATIVE = re.compile(r"-\s*[\d.]")

_LINK = re.compile(r"(?:https?://|mailto:|tel:)", re.IGNORECASE)
_REMOTE = re.compile(r"https?://", re.IGNORECASE)
_DATA = re.compile(r"data:image/(?:png|gif|jpe?g|webp);base64,[A-Za-z0-9+/=\s]*\Z", re.IGNORECASE)
_INVISIBLE = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]+")

_LONGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class SafeHtml:
    """`blocked`: how many remote images are left out."""

    html: str
    blocked: int


def safe_html(
    html: str, *, images: bool = False, inline: Callable[[str], str | None] = lambda content_id: None
) -> SafeHtml | None:
    """`inline` gives the address of a part by its Content-ID. None for html that would keep us busy: show the text."""
    if len(html) > _LONGEST:
        return None
    try:
        frame = framed(html.replace("\0", ""), _ALLOWED)
    except TooMuchError:
        return None
    work = _Filter(images, inline)
    cleaned = nh3.clean(
        frame, tags=_TAGS, clean_content_tags=_WITH_CONTENT, attributes=_ATTRIBUTES,
        attribute_filter=work, url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        link_rel="noopener noreferrer nofollow", set_tag_attribute_values=_SET,
    )  # fmt: skip
    return SafeHtml(cleaned, work.blocked)


def html_of_text(text: str) -> str:
    """What to show where there is no html, or none that is fit to be shown."""
    return f'<pre style="white-space:pre-wrap">{escape(text)}</pre>'


class _Filter:
    """Gives the value that an attribute may have, or None."""

    def __init__(self, images: bool, inline: Callable[[str], str | None]) -> None:
        self._images = images
        self._inline = inline
        self.blocked = 0

    def __call__(self, tag: str, name: str, value: str) -> str | None:
        if name == "style":
            return _safe_style(value) or None
        if name == "href":
            return _safe_link(value)
        if name == "src":
            return self._safe_source(value)
        return value

    def _safe_source(self, value: str) -> str | None:
        source = _INVISIBLE.sub("", value)
        if source[:4].lower() == "cid:":
            return self._inline(unquote(source[4:]))  # RFC 2392 2
        if source[:5].lower() == "data:":
            return source if _DATA.match(source) else None
        if not _REMOTE.match(source):
            return None
        self.blocked += not self._images
        return source if self._images else None


def _safe_link(value: str) -> str | None:
    link = value.strip()
    return link if _LINK.match(link) and not _INVISIBLE.search(link.replace(" ", "")) else None


def _safe_style(style: str) -> str:
    """Declarations whose property and value are both harmless; one that is not takes no other along."""
    if "\\" in style or "/*" in style:
        return ""
    kept = []
    for declaration in style.split(";"):
        name, colon, value = declaration.partition(":")
        name, value = name.strip().lower(), value.strip()
        if colon and name in _PROPERTIES and _VALUE.fullmatch(value) and not _reaches_out(name, value):
            kept.append(f"{name}:{value}")
    return ";".join(kept)


def _reaches_out(name: str, value: str) -> bool:
    """Over what is around the mail, which could so be made to say what its sender likes."""
    return (name.startswith("margin") or name == "text-indent") and bool(_NEGATIVE.search(value))
