"""All pages and forms of the application, as its routes tell them: a new one is tested without being named here."""

from __future__ import annotations

import re
from typing import NamedTuple

from apiflask import APIFlask
from flask.testing import FlaskClient

from services.roles import Role


class Route(NamedTuple):
    path: str  # with 1 for every id
    role: Role | None  # None: public


def pages(app: APIFlask) -> list[Route]:
    return _routes(app, "GET")


def forms(app: APIFlask) -> list[Route]:
    return _routes(app, "POST")


def csrf(client: FlaskClient) -> str:
    with client.session_transaction() as session:
        return str(session["csrf"])


def _routes(app: APIFlask, method: str) -> list[Route]:
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("pages.") and method in (rule.methods or ()):
            access = app.view_functions[rule.endpoint].access  # type: ignore[attr-defined]
            role = Role(access.removeprefix("session ")) if access != "public" else None
            found.append(Route(re.sub("<[^>]*>", "1", rule.rule), role))
    return found
