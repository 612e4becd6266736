"""Inlining the css of a template before it is rendered, so that a send costs nothing for it.

Jinja's tags are hidden from the parser of html: statements as comments, expressions as words. That is right only where
the css cannot depend on what the template does, so whatever might make a difference is left to be inlined at each
rendering: then `prepared` says None. In the end, only attributes may have changed: all tags of html and of Jinja must
stand in the same order as before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2 import nodes

from services.templates import css

# Their html is elsewhere, comes from elsewhere, or is moved.
_MOVING = (
    nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport, nodes.Macro, nodes.CallBlock, nodes.AssignBlock,
    nodes.FilterBlock,
)  # fmt: skip
_MARKUP_FILTERS = frozenset({"safe", "nl2br", "tojson", "e", "escape", "forceescape"})
# Selectors that tell what stands beside an element, or read attributes.
_DEPENDING = re.compile(
    r":(?!hover|link|visited|active|focus|before|after|:)[a-z-]+\s*[({,\s]|[+~\[]", re.IGNORECASE
)
_DECLARATIONS = re.compile(r"\{[^{}]*\}")

_STRINGS = r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^"'])*?"""
_TAGS = re.compile(rf"\{{\{{{_STRINGS}\}}\}}|\{{%{_STRINGS}%\}}|\{{#.*?#\}}", re.DOTALL)
_PIECES = re.compile(
    r"""<!--.*?-->
      | <(?P<raw>style|script|title|textarea)\b[^>]*>.*?</(?P=raw)\s*>
      | <[a-z/!](?:"[^"]*"|'[^']*'|[^>"'])*>""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_VALUE = re.compile(r"""(?P<name>[^\s"'>/=]+)\s*=\s*(?:"[^"]*"|'[^']*')""")
_MATCHED = frozenset({"class", "id", "style"})  # attributes that css reads or writes
_IMPLIED = ("html", "head", "body", "tbody", "colgroup")  # the parser adds them
_BRANCH = re.compile(r"\{%[-+]?\s*(end)?(?:if|for|with)\b")
_NAME = re.compile(r"<(/?)([a-z][a-z0-9:-]*)", re.IGNORECASE)


def depends(tree: nodes.Template) -> bool:
    """Whether what is rendered may hold html that does not stand in the template itself, at that place."""
    if next(tree.find_all(_MOVING), None) is not None:
        return True
    return any(one.name in _MARKUP_FILTERS for one in tree.find_all(nodes.Filter))


def prepared(source: str, tree: nodes.Template) -> str | None:
    """The source with its css inlined; None where that must wait for what is rendered. CssError."""
    if depends(tree) or "raw" in source or _css_depends(source):
        return None
    tags = _TAGS.findall(source)
    mark = next(one for one in _marks() if one not in source)
    hidden = _hidden(source, mark)
    if hidden is None:
        return None
    done = _without_implied(css.inlined(hidden), hidden)
    if _order(done, mark) != _order(hidden, mark) or any(sign in done for sign in ("{{", "{%", "{#")):
        return None
    return re.sub(rf"<!--{mark}(\d+)x-->|{mark}(\d+)x", lambda found: tags[int(found[1] or found[2])], done)


def _marks() -> Iterator[str]:
    number = 0
    while True:
        yield f"zq{number}tag"
        number += 1


def _css_depends(source: str) -> bool:
    """On what stands beside an element, or on a condition."""
    sheet = re.sub(r"/\*.*?\*/", "", css.stylesheets(source), flags=re.DOTALL)
    if _DEPENDING.search(_DECLARATIONS.sub("{", sheet)):
        return True
    for style in css.STYLE.finditer(source):
        branches = _BRANCH.findall(source, 0, style.start())
        if branches.count("end") * 2 != len(branches):
            return True
    return False


def _without_implied(done: str, before: str) -> str:
    """Tags that were not there before: around a loop, one of them would stand within it."""
    for name in _IMPLIED:
        if re.search(rf"<{name}\b", before, re.IGNORECASE) is None:
            done = re.sub(rf"</?{name}>", "", done)
    return done


def _hidden(source: str, mark: str) -> str | None:
    """With its tags hidden, as fits where each stands. None where css would see the difference."""
    statements = set()

    def word(found: re.Match[str]) -> str:
        number = word.count  # type: ignore[attr-defined]
        word.count += 1  # type: ignore[attr-defined]
        if not found[0].startswith("{{"):
            statements.add(str(number))
        return f"{mark}{number}x"

    word.count = 0  # type: ignore[attr-defined]
    words = _TAGS.sub(word, source)
    parts, end = [], 0
    for piece in _PIECES.finditer(words):
        if not _may_stand(piece, mark):
            return None
        parts += [_as_comments(words[end : piece.start()], mark, statements), piece[0]]
        end = piece.end()
    return "".join([*parts, _as_comments(words[end:], mark, statements)])


def _as_comments(text: str, mark: str, statements: set[str]) -> str:
    """Between tags, where a word might be moved out of its table, and a comment is not."""
    return re.sub(
        rf"{mark}(\d+)x", lambda found: f"<!--{found[0]}-->" if found[1] in statements else found[0], text
    )


def _may_stand(piece: re.Match[str], mark: str) -> bool:
    text = piece[0]
    if mark not in text or text.startswith("<!--"):
        return True
    if piece["raw"]:
        return piece["raw"].lower() != "style"
    bare = _VALUE.sub(lambda value: value[0] if value["name"].lower() in _MATCHED else "", text)
    return mark not in bare


def _order(html: str, mark: str) -> list[str]:
    """Tags of html and of Jinja as they follow one another. A <style> may go, and Jinja's within it there are none."""
    found = []
    for one in re.finditer(
        rf"<!--(?!{mark}\d+x-->).*?-->|{_NAME.pattern}|{mark}\d+x", html, re.IGNORECASE | re.DOTALL
    ):
        if not one[2]:
            found += re.findall(rf"{mark}\d+x", one[0])
        elif one[2].lower() != "style":
            found.append(one[1] + one[2].lower())
    return found
