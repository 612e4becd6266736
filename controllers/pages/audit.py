"""Who changed what."""

from __future__ import annotations

from flask import Response, request

from controllers.pages.forms import whole_number
from controllers.pages.frame import Visit, page, render
from services import audit as log
from services.roles import Role

PAGE_SIZE = 100


@page("/audit", Role.ADMIN)
def audit(visit: Visit) -> Response:
    before = whole_number(request.args.get("before", ""))
    actor = request.args.get("actor", "")
    entries = log.page(visit.tenant, actor=actor, before=before, limit=PAGE_SIZE)
    older = entries[-1]["id"] if len(entries) == PAGE_SIZE else None
    return render(
        "audit.html", entries=entries, older=older, first=before is None, actor=actor, actors=log.actors()
    )
