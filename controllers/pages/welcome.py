"""The first steps: an account to send through, a test, an app's own email. Each is ticked off once it is done."""

from __future__ import annotations

from flask import Response, request

from controllers.pages.frame import Visit, page, render
from controllers.snippets import KEY_VARIABLE, snippets
from services import configs, search
from services.roles import Role
from services.search import Filters


@page("/welcome", Role.OPERATOR)
def welcome(visit: Visit) -> Response:
    found, _ = configs.listed(visit.who, 100, 0)
    sent = search.search(visit.tenant, Filters(status="sent"), 1, None).items
    real = [one for one in found if not one.sandbox]
    return render(
        "welcome.html", real=real, sandbox=next((one for one in found if one.sandbox), None),
        sent=sent[0] if sent else None, snippets=snippets(request.url_root), variable=KEY_VARIABLE,
    )  # fmt: skip
