"""What a person asks for: words, all of which must be there; "words in a row"; -without; beginni*.

Any text is a question. What is no word in it is passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_TERMS = 24
_TERM = re.compile(r'(?<!\S)(-?)(?:"([^"]*)"?(\*?)|(\S+))')
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand next to each other. With `begins`, the last one may go on."""

    words: tuple[str, ...]
    begins: bool = False
    without: bool = False


def terms_of(question: str) -> list[Term]:
    """Nothing but minus signs finds nothing, so then there are none."""
    found = []
    for minus, quoted, star, bare in _TERM.findall(question)[: 4 * MOST_TERMS]:
        words = tuple(_WORD.findall(quoted or bare))
        if words:
            found.append(Term(words, bool(star) or bare.endswith("*"), bool(minus)))
    found = found[:MOST_TERMS]
    return found if any(not one.without for one in found) else []
