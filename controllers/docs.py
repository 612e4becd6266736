"""/openapi.json and /docs, from files of this machine alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask_swagger_ui
from apiflask import APIFlask
from flask import Response, abort, current_app, render_template, send_from_directory

from controllers.access import public

_FILES = Path(flask_swagger_ui.__file__).parent / "dist"
_SERVED = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def register(app: APIFlask) -> None:
    """APIFlask's own page of the same paths would load its script from another site: ours takes its place."""
    _own(app, "/openapi.json", "openapi.spec", _description)
    _own(app, "/docs", "openapi.docs", _page)
    _own(app, "/docs/oauth2-redirect", "openapi.swagger_ui_oauth_redirect", _nothing)
    _own(app, "/docs/files/<name>", "openapi.files", _file)


def _own(app: APIFlask, rule: str, endpoint: str, view: Callable[..., Any]) -> None:
    if endpoint not in app.view_functions:
        app.add_url_rule(rule, endpoint, view)
    app.view_functions[endpoint] = public(view)


def _description() -> Response:
    made: bytes | None = current_app.extensions.get("mailferry.openapi")
    if made is None:
        app: Any = current_app
        made = current_app.extensions["mailferry.openapi"] = json.dumps(app.spec).encode()
    return Response(made, mimetype="application/json", headers={"Cache-Control": "public, max-age=60"})


def _page() -> Response:
    return Response(render_template("docs.html"), headers={"Content-Security-Policy": _POLICY})


def _file(name: str) -> Response:
    if name not in _SERVED:
        abort(404)
    return send_from_directory(_FILES, name, max_age=86_400)


def _nothing() -> Response:
    abort(404)
