"""Plain text from the html of an email, for those who read or filter it without its html.

Reads the tags in one pass instead of building a tree: where a line ends and what a link points at needs none,
and the time stays linear. Tree builders are quadratic on deep nesting (lexbor: 14 s for 100,000 open `div`s),
and the html comes from whoever may send.
"""

from __future__ import annotations

import re

from utils.html_tags import FIRST_TEXT, TAG, VOID, attribute, decoded, is_hidden

_URL = re.compile(r"(?:https?|ftp|mailto|tel|sms):\S", re.IGNORECASE)
_SCHEME = re.compile(r"(?:https?://|mailto:|tel:|sms:)", re.IGNORECASE)

# 1: begins and ends on its own line; 2: with an empty line before and after.
_LINES = """address article aside body caption center dd div dt fieldset figcaption footer form header html li
    main nav option section summary tbody tfoot thead tr"""
_PARAGRAPHS = "blockquote details dl figure h1 h2 h3 h4 h5 h6 hr ol p pre table ul"
_GAPS = {**dict.fromkeys(_LINES.split(), 1), **dict.fromkeys(_PARAGRAPHS.split(), 2)}
_SPECIAL = frozenset(("a", "blockquote", "br", "hr", "img", "li", "ol", "pre", "td", "th", "ul"))
_SPECIAL_AT_END = frozenset(("a", "blockquote", "br", "ol", "pre", "ul"))
_SHAPING = _SPECIAL | frozenset(_GAPS)  # the tags that shape the text; all others are skipped
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
    for match in TAG.finditer(html):
        _, slash, name, attributes, text = match.groups()
        if name:
            name = name if name in _SHAPING else name.lower()
            if hidden:
                if name == hidden:
                    depth += -1 if slash else 1
                    hidden = hidden if depth else ""
            elif attributes and not slash and skip_hidden and is_hidden(attributes):
                hidden, depth = ("", 0) if name in VOID else (name, 1)
            else:
                gap = _GAPS.get(name, 0)
                if name in (_SPECIAL_AT_END if slash else _SPECIAL):
                    gap = page.close(name, gap) if slash else page.open(name, attributes or "", gap)
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

    def finish(self) -> str:
        self._end_link()
        return "".join(self.out).strip("\n")

    def open(self, name: str, attributes: str, gap: int) -> int:
        """Returns the gap before the element; a list within a list needs no empty line."""
        if name == "td" or name == "th":
            self.cell = True
        elif name == "a":
            self._end_link()
            self.href, self.label = attribute(attributes, "href") or "", []
        elif name == "br":
            self.breaks += 1
        elif name == "img":
            self._put(" ".join((attribute(attributes, "alt") or "").split()))
        elif name == "li":
            self.marker = self._next_marker()
        elif name == "ul" or name == "ol":
            gap = 1 if self.lists else 2
            self.lists.append(1 if name == "ol" else None)
        elif name == "pre":
            self.pre += 1
        elif name == "blockquote":
            self.quotes += 1
        elif name == "hr":
            self.gap = 2
            self._put(_RULE)
        return gap

    def close(self, name: str, gap: int) -> int:
        if name == "a":
            self._end_link()
        elif name == "br":
            self.breaks += 1
        elif name == "ul" or name == "ol":
            if self.lists:
                self.lists.pop()
            gap = 1 if self.lists else 2
            self.marker = ""
        elif name == "pre":
            self.pre = max(self.pre - 1, 0)
            if self.out:
                self.out[-1] = self.out[-1].removesuffix("\n")
        elif name == "blockquote":
            self.quotes = max(self.quotes - 1, 0)
        return gap

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

    def _end_link(self) -> None:
        if not self.href:
            return
        url = "".join(self.href.split("\n")).strip().replace(" ", "%20")
        self.href = ""
        if not _URL.match(url):
            return
        label = "".join(self.label).strip()
        shown = url[7:].partition("?")[0] if url[:7].lower() == "mailto:" else url
        if not label:
            self._put(shown)
        elif (
            " " in label or len(label) + _LONGEST_CUT < len(shown.rstrip("/")) or _bare(label) != _bare(shown)
        ):
            self.out.append(f" ({shown})")
