"""Settings as they are in force. They come from the environment and `.env`, so there is nothing to change here."""

from __future__ import annotations

from flask import Response

from controllers.pages.frame import Visit, page, render
from services.roles import Role
from utils.version import VERSION


@page("/settings", Role.ADMIN)
def settings(visit: Visit) -> Response:
    return render("settings.html", settings=visit.relay.described, version=VERSION)
