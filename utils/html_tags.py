"""The tags of html and their attributes, read as browsers read them, in time linear in the input."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape

_ATTRIBUTES = r"""(?:[^>=]++|=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>"'][^\s>]*+|(?=>)|\Z))*+"""
_SMALL = 300_000  # characters: of a larger page the tags are not held all at once
# The content of these is never text to read, and holds no tags up to the end tag.
_SKIPPED = "(?i:script|style|title|textarea|iframe|noembed|noframes|xmp|template)"
_TEXT = r"(?:[^<]++|<(?![a-zA-Z!?/]))*+"
_TAG = re.compile(
    rf"""<(?:
        (?=[IiNnSsTtXx])({_SKIPPED})(?=[\s/>]){_ATTRIBUTES}>.*?(?:</(?i:\1)(?=[\s/>])[^>]*+(?:>|\Z)|\Z)
        | (/?[a-zA-Z][^\s/>]*+)(?:>|({_ATTRIBUTES})(?:>|\Z))
        | !--(?:-?>|.*?(?:--!?>|\Z))
        | [!?/][^>]*+(?:>|\Z)
    )({_TEXT})""",
    re.VERBOSE | re.DOTALL,
)
ATTRIBUTE = re.compile(r"""([^\s=/>"']+)(?:\s*=\s*(?:"([^"]*)"?|'([^']*)'?|([^\s>]+)))?""")
FIRST_TEXT = re.compile(_TEXT)
_DISPLAY_NONE = re.compile(r"display\s*:\s*none", re.IGNORECASE)
VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr")
)


def tags(html: str) -> Iterable[tuple[str, ...]]:
    """What is skipped whole, such as a script; or a tag with its slash, and its attributes; and the text after it.

    What is not there is ''; of a comment, all but the text.
    """
    if len(html) < _SMALL:
        return _TAG.findall(html)
    return (match.groups("") for match in _TAG.finditer(html))


def is_hidden(attributes: str) -> bool:
    """Whether these attributes keep an element from being shown."""
    lower = attributes.lower()
    if "none" not in lower and "hidden" not in lower:
        return False
    style = attribute(attributes, "style") or ""
    return attribute(attributes, "hidden") is not None or bool(_DISPLAY_NONE.search(style))


def attribute(source: str, wanted: str) -> str | None:
    """The first value of an attribute, None when it is not there."""
    for match in ATTRIBUTE.finditer(source):
        name, double, single, bare = match.groups()
        if name.lower() == wanted:
            return decoded(double or single or bare or "")
    return None


def decoded(text: str) -> str:
    """Text with its character references resolved."""
    if "&" not in text:
        return text
    try:
        return unescape(text)
    except ValueError:  # `&#` and more digits than int() takes
        return text
