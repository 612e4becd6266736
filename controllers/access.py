"""Every route says who may call it. One that says nothing is refused: at start, and once more at run time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, request

from services.errors import ForbiddenError

View = TypeVar("View", bound=Callable[..., Any])

# Files of packages, which bring their own view functions.
_ASSETS = frozenset({"static", "bootstrap.static"})


def declared(view: View, access: str) -> View:
    """Mark a view: `public`, `session`, or what its API operation asks for."""
    view.access = access  # type: ignore[attr-defined]
    return view


def public(view: View) -> View:
    """Anyone may call it."""
    return declared(view, "public")


def access_of(app: Flask, endpoint: str) -> str | None:
    if endpoint in _ASSETS:
        return "public"
    return getattr(app.view_functions.get(endpoint), "access", None)


def check_all_declared(app: Flask) -> None:
    """RuntimeError naming the routes that forgot."""
    silent = sorted({rule.rule for rule in app.url_map.iter_rules() if access_of(app, rule.endpoint) is None})
    if silent:
        raise RuntimeError(f"these routes do not say who may call them: {', '.join(silent)}")


def deny_undeclared(app: Flask) -> Callable[[], None]:
    """The hook that refuses, at run time, what was routed after the start."""

    def deny() -> None:
        endpoint = request.endpoint
        if endpoint is not None and access_of(app, endpoint) is None:
            raise ForbiddenError("this route does not say who may call it")

    return deny
