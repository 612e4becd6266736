"""The base subject, by which replies and forwards are known to be about the same (RFC 5256, 2.1)."""

from __future__ import annotations

import re

_BLOB = r"\[[^\[\]]*\][ \t]*"
_REFWD = rf"(?:re|fwd?)[ \t]*(?:{_BLOB})?:"
_LEADER = re.compile(rf"(?:(?:{_BLOB})*{_REFWD}|[ \t])", re.IGNORECASE)
_FIRST_BLOB = re.compile(_BLOB)
_TRAILER = re.compile(r"(?:[ \t]|\(fwd\))+\Z", re.IGNORECASE)
_FORWARD = re.compile(r"\[fwd:(.*)\]\Z", re.IGNORECASE | re.DOTALL)
_SPACE = re.compile(r"\s+")
LONGEST = 2_000  # characters; what follows tells no two subjects apart


def base_subject(subject: str) -> str:
    """In lower case, without `Re:`, `Fwd:`, `[list]` and `(fwd)`. '' when nothing else is left of it."""
    text = _SPACE.sub(" ", subject[:LONGEST]).strip()
    while True:
        before = text
        text = _without_leaders(_TRAILER.sub("", text))
        forwarded = _FORWARD.match(text)
        if forwarded:
            text = forwarded[1].strip()
        if text == before:
            return text.casefold()


def _without_leaders(text: str) -> str:
    """Steps 3 to 5: leaders, and a blob as long as something stands after it."""
    while True:
        found = _LEADER.match(text)
        if found is None:
            found = _FIRST_BLOB.match(text)
            if found is None or found.end() == len(text):
                return text
        text = text[found.end() :]
