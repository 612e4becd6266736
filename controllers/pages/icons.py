"""Icons: single symbols of Bootstrap's sprite, put into the page, since the whole sprite is a megabyte."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import flask_bootstrap
from markupsafe import Markup

_SPRITE = Path(flask_bootstrap.__file__).parent / "static/bootstrap5/icons/bootstrap-icons.svg"
_SVG = "{http://www.w3.org/2000/svg}"


@cache
def icon(name: str, size: int = 16) -> Markup:
    """Decoration, which screen readers pass over: the words beside it say it. KeyError for an unknown name."""
    inside = _symbols()[name]
    return Markup(  # noqa: S704 - from a package, not from users
        f'<svg class="icon" width="{size}" height="{size}" viewBox="0 0 16 16" fill="currentColor" aria-hidden="true">'
        f"{inside}</svg>"
    )


@cache
def _symbols() -> dict[str, str]:
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    sprite = ElementTree.parse(_SPRITE).getroot()  # noqa: S314 - from a package
    return {
        symbol.attrib["id"]: "".join(
            ElementTree.tostring(child, encoding="unicode").replace(' xmlns="http://www.w3.org/2000/svg"', "")
            for child in symbol
        )
        for symbol in sprite.iter(f"{_SVG}symbol")
    }
