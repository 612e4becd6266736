"""Plain text from the html of an email, for those who read or filter it without its html.

Reads the tags in one pass instead of building a tree: where a line ends and what a link points at needs none,
and the time stays linear. Tree builders are quadratic on deep nesting (lexbor: 14 s for 100,000 open `div`s),
and the html comes from whoever may send.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from utils.html_tags import FIRST_TEXT, VOID, attribute, decoded, is_hidden, tags

_URL = re.compile(r"(?:https?|ftp|mailto|tel|sms):\S", re.IGNORECASE)
_SCHEME = re.compile(r"(?:https?://|mailto:|tel:|sms:)", re.IGNORECASE)

# 1: begins and ends on its own line; 2: with an empty line before and after.
_LINES = """address article aside body caption center dd div dt fieldset figcaption footer form header html
    main nav option section summary tbody tfoot thead tr"""
_PARAGRAPHS = "details dl figure h1 h2 h3 h4 h5 h6 p table"
_GAPS = {**dict.fromkeys(_LINES.split(), 1), **dict.fromkeys(_PARAGRAPHS.split(), 2)}
_GAPS |= {f"/{name}": gap for name, gap in _GAPS.items()} | {"/li": 1, "/hr": 2}
# Frequent, and without any effect.
_GAPS |= dict.fromkeys(("", *"/td /th b /b em /em font /font i /i span /span strong /strong u /u".split()), 0)
_RULE = "-" * 20
_DEEPEST = 8  # further levels of lists and quotes are not indented more


def html_to_text(html: str) -> str:
    """Never raises. Links stay as `label (url)`, images as their alt text, rows of tables as `a | b`."""
    html = html.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n")
    text, complete = _read(html, skip_hidden=True)
    if not complete:  # a hidden element that nothing ends would have taken the rest of the mail with it
        text, _ = _read(html, skip_hidden=False)
    return text


def _read(html: str, skip_hidden: bool) -> tuple[str, bool]:
    """The text, and whether every hidden element had its end tag."""
    page = _Page()
    if first := FIRST_TEXT.match(html):
        page.text(first[0])
    hidden, depth = "", 0
    for _, tag, attributes, text in tags(html):
        if hidden:
            if tag.lower().removeprefix("/") == hidden:
                depth += -1 if tag[0] == "/" else 1
                hidden = hidden if depth else ""
        elif attributes and skip_hidden and tag[0] != "/" and is_hidden(attributes):
            name = tag.lower()
            hidden, depth = ("", 0) if name in VOID else (name, 1)
        else:
            gap = _GAPS.get(tag)
            if gap is None:
                gap = page.shape(tag.lower(), attributes)
            if gap > page.gap:
                page.gap = gap
        if text and not hidden:
            page.text(text)
    return page.finish(), not hidden


_LONGEST_CUT = len("https://")  # what, beside slashes at the end, `_bare` may take off


def _bare(url: str) -> str:
    """What of a URL a label may leave out without saying something else."""
    return _SCHEME.sub("", url, count=1).rstrip("/").casefold()


class _Page:
    """The text so far, and the white space owed before the next piece of it."""

    __slots__ = ("breaks", "cell", "gap", "href", "label", "lists", "marker", "out", "pre", "quotes", "space")

    def __init__(self) -> None:
        self.out: list[str] = []
        self.gap = 0  # line ends owed to blocks
        self.breaks = 0  # line ends owed to <br>
        self.cell = self.space = False
        self.marker = ""
        self.lists: list[int | None] = []  # the next number of an <ol>, None for a <ul>
        self.quotes = self.pre = 0
        self.href = ""  # of the open link
        self.label: list[str] = []

    def text(self, data: str) -> None:
        if "&" in data:
            data = decoded(data)
        if self.pre:
            self._put(data.removeprefix("\n") if self.gap else data)
            return
        if not data or data.isspace():
            self.space = True
            return
        if data[0].isspace():
            self.space = True
        self._put(" ".join(data.split()))
        self.space = data[-1].isspace()

    def shape(self, tag: str, attributes: str) -> int:
        """For a tag, in lower case, that may do more than ask for a gap. Returns its gap."""
        act = _ACTS.get(tag)
        return act(self, attributes) if act else _GAPS.get(tag, 0)

    def finish(self) -> str:
        self._end_link()
        return "".join(self.out).strip("\n")

    def _start_cell(self, attributes: str) -> int:
        self.cell = True
        return 0

    def _start_link(self, attributes: str) -> int:
        self._end_link()
        self.href, self.label = attribute(attributes, "href") or "", []
        return 0

    def _break_line(self, attributes: str) -> int:
        self.breaks += 1
        return 0

    def _show_image(self, attributes: str) -> int:
        self._put(" ".join((attribute(attributes, "alt") or "").split()))
        return 0

    def _rule(self, attributes: str) -> int:
        self.gap = 2
        self._put(_RULE)
        return 2

    def _start_list(self, first: int | None) -> int:
        """A list within a list needs no empty line."""
        self.lists.append(first)
        return 1 if len(self.lists) > 1 else 2

    def _start_item(self, attributes: str) -> int:
        self.marker = self._next_marker()
        return 1

    def _end_list(self, attributes: str) -> int:
        if self.lists:
            self.lists.pop()
        self.marker = ""
        return 1 if self.lists else 2

    def _start_pre(self, attributes: str) -> int:
        self.pre += 1
        return 2

    def _end_pre(self, attributes: str) -> int:
        self.pre = max(self.pre - 1, 0)
        if self.out:
            self.out[-1] = self.out[-1].removesuffix("\n")
        return 2

    def _start_quote(self, attributes: str) -> int:
        self.quotes += 1
        return 2

    def _end_quote(self, attributes: str) -> int:
        self.quotes = max(self.quotes - 1, 0)
        return 2

    def _next_marker(self) -> str:
        number = self.lists[-1] if self.lists else None
        if number is None:
            return "- "
        self.lists[-1] = number + 1
        return f"{number}. "

    def _put(self, piece: str) -> None:
        """Appends text after the white space that is owed."""
        if not piece:
            return
        gap = max(self.gap, min(self.breaks, 2))
        if gap or not self.out:
            self.out.append("\n" * gap + self._indent())
        elif self.cell:
            self.out.append(" | ")
        elif self.space:
            self.out.append(" ")
        self.out.append(piece)
        if self.href:
            self.label.append(piece)
        self.gap = self.breaks = 0
        self.cell = self.space = False

    def _indent(self) -> str:
        if not self.lists and not self.quotes and not self.marker:
            return ""
        depth = min(len(self.lists), _DEEPEST)
        indent = "  " * (depth - 1) + self.marker if self.marker else "  " * depth
        self.marker = ""
        return "> " * min(self.quotes, _DEEPEST) + indent

    def _end_link(self, attributes: str = "") -> int:
        if self.href:
            url = "".join(self.href.split("\n")).strip().replace(" ", "%20")
            self.href = ""
            if _URL.match(url):
                self._tell(url)
        return 0

    def _tell(self, url: str) -> None:
        """After the label of a link, unless that says as much."""
        label = "".join(self.label).strip()
        shown = url[7:].partition("?")[0] if url[:7].lower() == "mailto:" else url
        if not label:
            self._put(shown)
        elif (
            " " in label or len(label) + _LONGEST_CUT < len(shown.rstrip("/")) or _bare(label) != _bare(shown)
        ):
            self.out.append(f" ({shown})")


# What a tag does beyond asking for a gap.
_ACTS: dict[str, Callable[[_Page, str], int]] = {
    "td": _Page._start_cell, "th": _Page._start_cell,
    "a": _Page._start_link, "/a": _Page._end_link,
    "br": _Page._break_line, "/br": _Page._break_line,
    "img": _Page._show_image, "hr": _Page._rule,
    "ul": lambda page, _: page._start_list(None), "ol": lambda page, _: page._start_list(1),
    "li": _Page._start_item, "/ul": _Page._end_list, "/ol": _Page._end_list,
    "pre": _Page._start_pre, "/pre": _Page._end_pre,
    "blockquote": _Page._start_quote, "/blockquote": _Page._end_quote,
}  # fmt: skip
