"""Html of strangers as a parser likes it: known tags, each closed in its place, and text.

Browsers mend what is not closed, by rules that may be turned against them: 300 open `font`s are opened anew in each
of 20,000 paragraphs, which takes gigabytes; what nests thousands deep, or stands in a table outside its cells, takes
time by the square of its length. Here the same is mended in the same spirit, and there is an end to it. What comes out
holds nothing that a parser reads by other rules (no comments, scripts, svg), so it costs a parser what it seems to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field

from utils.html_tags import ATTRIBUTE, FIRST_TEXT, VOID, tags

DEEPEST = 1_000
MOST_STEPS = 20_000_000  # sum over all tags of how deep they stand: what parsers look through
_OUR_STEP = 20  # one of ours takes as long as so many of a parser's
MOST_TAGS = 200_000
MOST_STRAYS = 500  # in tables outside their cells: for each, parsers look through all that stands before
LONGEST_MENDING = 1_000_000  # characters of tags that are written again
_MOST_REFERENCES = 100_000

_FORMATTING = frozenset("a b big code em font i s small strike strong tt u".split())
_INLINE = frozenset(
    "abbr acronym bdi bdo cite del dfn ins kbd mark q rp rt ruby samp span sub sup time var".split()
)
_HEADINGS = frozenset("h1 h2 h3 h4 h5 h6".split())
_ENDS_P = _HEADINGS | frozenset("""
    address blockquote center dd details div dl dt figcaption figure hr li ol p pre section summary table ul
""".split())  # fmt: skip
_CELLS = frozenset(("td", "th", "caption"))
_ROWS = frozenset(("table", "tbody", "thead", "tfoot"))
# A part of a table, and what it may stand in.
_STANDS_IN: dict[str, frozenset[str]] = {
    **dict.fromkeys(("caption", "colgroup", "tbody", "thead", "tfoot"), frozenset(("table",))),
    "col": frozenset(("table", "colgroup")), "tr": _ROWS, "td": _ROWS | {"tr"}, "th": _ROWS | {"tr"},
}  # fmt: skip
_OUTSIDE_CELLS = _ROWS | {"tr", "colgroup"}
_SCOPES = _CELLS | {"table"}  # an end tag within says nothing of what is open around it
_ITEMS = {"li": ("li",), "dd": ("dd", "dt"), "dt": ("dd", "dt")}
_WITHIN_ITEMS = _INLINE | _FORMATTING | {"address", "div", "p"}  # all else holds items of its own
# Left out with all that is in them; of scripts and the like the reader of tags gives nothing anyway.
_LEFT_OUT = frozenset("applet audio canvas frameset math noscript object select svg video".split())
_THEIR_ENDS = re.compile(rf"</({'|'.join(_LEFT_OUT)})(?=[\s/>])", re.IGNORECASE)


class TooMuchError(Exception):
    """Whoever wrote this wants to keep the parser busy."""


def framed(html: str, allowed: Mapping[str, Set[str]]) -> str:
    """`allowed`: the tags that stay, each with its attributes. TooMuchError for what would cost too much."""
    if html.count("&") > _MOST_REFERENCES:
        raise TooMuchError
    frame = _Frame()
    for number, (tag, attributes, text) in enumerate(_seen(html)):
        if number > MOST_TAGS:
            raise TooMuchError
        name = tag.lower()
        if name[:1] == "/":
            if name[1:] in allowed:
                frame.end(name[1:])
        elif name in allowed:
            frame.start(name, _written(name, attributes, allowed[name]))
        frame.text(text)
    return frame.finish()


def _seen(html: str) -> Iterator[tuple[str, str, str]]:
    """Tags with their attributes, and the text behind each, without what is left out."""
    first = FIRST_TEXT.match(html)
    yield "", "", first[0] if first else ""
    ends = Counter(found[1].lower() for found in _THEIR_ENDS.finditer(html))
    within, depth = "", 0
    for _, tag, attributes, text in tags(html):
        name = tag.lower().removeprefix("/")
        if name in _LEFT_OUT:
            if tag[0] == "/":
                ends[name] -= 1
                depth -= within == name
            elif within in ("", name) and ends[name] > depth and attributes[-1:] != "/":
                within, depth = name, depth + 1  # without an end, it would take the rest of the mail along
            within = within if depth else ""
        if not within:
            yield tag, attributes, text


def _written(name: str, source: str, allowed: Set[str]) -> str:
    """The tag, with the first value of each attribute that may stay."""
    if not source:
        return f"<{name}>"
    told: dict[str, str] = {}
    for key, double, single, bare in ATTRIBUTE.findall(source):
        lower = key.lower()
        if lower in allowed and lower not in told:
            value = (double or single or bare).replace('"', "&quot;")
            told[lower] = f' {lower}="{value}"'
    return f"<{name}{''.join(told.values())}>"


@dataclass(slots=True)
class _Open:
    """An element that is open, with its tag as it was written. Of a cell, what waited outside of it."""

    name: str
    written: str
    waiting: list[_Open] = field(default_factory=list)


class _Frame:
    """What is written; the elements that are open; and those that wait, before the next that is to be seen, to be
    opened again, since one around them was closed and they were not."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._stack: list[_Open] = []
        self._scopes: list[Counter[str]] = [
            Counter()
        ]  # names that are open since the last table or cell began
        self._waiting: list[_Open] = []
        self._steps = self._strays = self._mending = 0

    def text(self, text: str) -> None:
        if text and not text.isspace():
            self._reopen()
            self._count_stray()
        self._out.append(text.replace("<", "&lt;"))

    def start(self, name: str, written: str) -> None:
        self._step(len(self._stack))
        if name in _STANDS_IN:
            self._start_part(name, written)
            return
        self._make_room(name)
        if name not in _ENDS_P or any(one.name not in _FORMATTING for one in self._waiting):
            self._reopen()
        self._count_stray()
        self._open(_Open(name, written))

    def end(self, name: str) -> None:
        """Of an element that is open, or waits; else it means nothing."""
        at = self._find(name)
        if at is not None:
            self._close(name, at)
        elif not self._scopes[-1][name]:
            self._forget((name,))

    def finish(self) -> str:
        while self._stack:
            self._close_last()
        return "".join(self._out)

    def _start_part(self, name: str, written: str) -> None:
        if len(self._scopes) > 1:  # in a table
            while self._stack[-1].name not in _STANDS_IN[name]:
                self._close_last()
            self._open(_Open(name, written))

    def _make_room(self, name: str) -> None:
        """End what this cannot stand in."""
        if name in _ENDS_P:
            self.end("p")
        last = self._stack[-1].name if self._stack else ""
        if name in _HEADINGS and last in _HEADINGS:
            self.end(last)
        elif name in _ITEMS:
            self._end_item(_ITEMS[name])
        elif name == "a":
            self.end("a")
        elif name == "table" and last in _OUTSIDE_CELLS:
            self.end("table")

    def _end_item(self, names: tuple[str, ...]) -> None:
        if self._forget(names):
            return
        for one in reversed(self._stack):
            self._step(_OUR_STEP)
            if one.name in names:
                self.end(one.name)
                return
            if one.name not in _WITHIN_ITEMS:
                return

    def _close(self, name: str, at: int) -> None:
        """All that is in it is closed with it; what of that only formats goes on behind. If it only formats itself,
        all goes on."""
        kept: list[_Open] = []
        while len(self._stack) > at + 1:
            one = self._close_last()
            if name in _FORMATTING or one.name in _FORMATTING:
                kept.append(one)
        self._close_last()
        if name not in _SCOPES and name not in _STANDS_IN:
            self._waiting = kept[::-1] + self._waiting

    def _find(self, name: str) -> int | None:
        """Where it stands among what is open, as far as its end tag reaches."""
        of_table = name == "table" or name in _STANDS_IN
        if len(self._scopes) == 1 if of_table else not self._scopes[-1][name]:
            return None
        for at in range(len(self._stack) - 1, -1, -1):
            one = self._stack[at].name
            self._step(_OUR_STEP)
            if one == name:
                return at
            if of_table and one == "table":
                return None
            if name in _INLINE and one not in _INLINE and one not in _FORMATTING:
                return None
        return None

    def _forget(self, names: tuple[str, ...]) -> bool:
        """Whether one of them waited: it does no more."""
        for at in range(len(self._waiting) - 1, -1, -1):
            self._step(_OUR_STEP)
            if self._waiting[at].name in names:
                del self._waiting[at]
                return True
        return False

    def _open(self, one: _Open) -> None:
        self._out.append(one.written)
        if one.name in VOID:
            return
        self._scopes[-1][one.name] += 1
        self._stack.append(one)
        if one.name in _SCOPES:
            self._scopes.append(Counter())
        if one.name in _CELLS:
            one.waiting, self._waiting = self._waiting, []
        if len(self._stack) + len(self._waiting) > DEEPEST:
            raise TooMuchError

    def _close_last(self) -> _Open:
        one = self._stack.pop()
        self._out.append(f"</{one.name}>")
        if one.name in _SCOPES:
            self._scopes.pop()
        if one.name in _CELLS:
            self._waiting, one.waiting = one.waiting, []
        self._scopes[-1][one.name] -= 1
        return one

    def _reopen(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            self._mending += len(one.written)
            if self._mending > LONGEST_MENDING:
                raise TooMuchError
            self._open(one)

    def _count_stray(self) -> None:
        """Before the write of what may not stand there."""
        self._strays += bool(self._stack) and self._stack[-1].name in _OUTSIDE_CELLS
        if self._strays > MOST_STRAYS:
            raise TooMuchError

    def _step(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MOST_STEPS:
            raise TooMuchError
