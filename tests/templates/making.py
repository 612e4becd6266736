"""Templates in memory, and what they become."""

from __future__ import annotations

from typing import Any

from services.errors import InvalidInputError
from services.templates.compiled import Library, Version, checked
from services.templates.finding import Shelf
from services.templates.rendering import Rendered, render


def version(html: str | None = None, text: str | None = None, subject: str = "Hello") -> Version:
    """Of a template that is not stored, and includes no others."""
    return Version(0, "main", 0, checked(subject, html, text))


def made(
    html: str | None = None, text: str | None = None, subject: str = "Hello", **variables: Any
) -> Rendered:
    return render(version(html, text, subject), variables, Shelf(Library(), ""))


def html_of(source: str, **variables: Any) -> str:
    html = made(source, **variables).html
    assert html is not None
    return html


def refusal(source: str, **variables: Any) -> tuple[str, str, str]:
    """Field, code and message of what is wrong with it: when it is saved, or else when it is rendered."""
    try:
        html_of(source, **variables)
    except InvalidInputError as exc:
        (one,) = exc.details
        return one.field, one.code, one.message
    raise AssertionError("it was rendered")
