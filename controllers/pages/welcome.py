"""The first steps: an account to send through, a test, an app's own email. Each is ticked off once it is done."""

from __future__ import annotations

from typing import Any

from flask import Response, redirect, request, url_for

from controllers.pages.frame import Visit, page, render
from controllers.snippets import KEY_VARIABLE, snippets
from services import configs, search
from services.roles import Role
from services.search import Filters


@page("/start")
def start(visit: Visit) -> Any:
    """Where one comes to first: while nothing has been sent, how to begin."""
    empty = not search.search(visit.tenant, Filters(), 1, None).items
    first = "pages.welcome" if empty and visit.role.includes(Role.OPERATOR) else "pages.overview"
    return redirect(url_for(first))


@page("/welcome", Role.OPERATOR)
def welcome(visit: Visit) -> Response:
    found, _ = configs.listed(visit.who, 100, 0)
    sent = search.search(visit.tenant, Filters(status="sent"), 1, None).items
    real = [one for one in found if not one.sandbox]
    return render(
        "welcome.html", real=real, sandbox=next((one for one in found if one.sandbox), None),
        sent=sent[0] if sent else None, snippets=snippets(request.url_root), variable=KEY_VARIABLE,
    )  # fmt: skip
