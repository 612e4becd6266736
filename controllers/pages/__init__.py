"""The pages for the browser. To add one: a file here, a template, and a line in menu.py."""

from __future__ import annotations

from controllers.pages import (  # noqa: F401 - each routes its pages
    audit,
    email,
    emails,
    keys,
    live,
    login,
    overview,
    sandbox,
    settings,
    smtp_configs,
    suppressions,
    users,
)
from controllers.pages.frame import bp as bp
