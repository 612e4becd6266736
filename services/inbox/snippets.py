"""The place in a text where the words of a question stand, with the words marked."""

from __future__ import annotations

import re
import unicodedata
from html import escape

from services.inbox.questions import Term

LENGTH = 160  # characters
_BEFORE = 40
_LOOKED_AT = 100_000
_SPACE = re.compile(r"\s+")


class _Folding(dict[int, int]):
    """A character's base in lower case, always a single one, so that places stay the same."""

    def __missing__(self, code: int) -> int:
        base = unicodedata.normalize("NFD", chr(code))[0].lower()
        self[code] = ord(base) if len(base) == 1 else code
        return self[code]


_FOLDING = _Folding()


def snippet(texts: list[str], terms: list[Term]) -> str:
    """Of the first text that holds one of the words, else the beginning of the last one: escaped html, with <mark>
    around the words."""
    pattern = _pattern(terms)
    for text in texts:
        shown = _SPACE.sub(" ", text[:_LOOKED_AT])
        first = pattern.search(shown.translate(_FOLDING)) if pattern else None
        if first is not None:
            return _cut(shown, first.start(), pattern)
    return _cut(_SPACE.sub(" ", texts[-1][: 2 * LENGTH]), 0, pattern) if texts else ""


def marked(text: str, terms: list[Term]) -> str:
    """The whole text, escaped, with <mark> around the words."""
    return _marked(text, _pattern(terms))


def _pattern(terms: list[Term]) -> re.Pattern[str] | None:
    wanted = [one for one in terms if not one.without]
    if not wanted:
        return None
    return re.compile("|".join(_alternative(one) for one in wanted))


def _alternative(term: Term) -> str:
    words = [re.escape(word.translate(_FOLDING)) for word in term.words]
    end = "" if term.begins else r"(?![^\W_])"
    return r"(?<![^\W_])" + r"[\W_]{1,20}".join(words) + end


def _cut(text: str, at: int, pattern: re.Pattern[str] | None) -> str:
    start = max(at - _BEFORE, 0)
    if start:  # at a word's beginning
        start = text.find(" ", start, at) + 1 or start
    end = start + LENGTH
    if end < len(text):
        end = text.rfind(" ", at + 1, end) if " " in text[at + 1 : end] else end
    before, after = "… " if start else "", " …" if end < len(text) else ""
    return before + _marked(text[start:end], pattern) + after


def _marked(text: str, pattern: re.Pattern[str] | None) -> str:
    told, done = [], 0
    for found in pattern.finditer(text.translate(_FOLDING)) if pattern else ():
        told += [
            escape(text[done : found.start()]),
            "<mark>",
            escape(text[found.start() : found.end()]),
            "</mark>",
        ]
        done = found.end()
    return "".join([*told, escape(text[done:])])
