"""The pages for the browser. To add one: a file here, a template, and a line in menu.py."""

from __future__ import annotations

from controllers.pages import audit, live, login, sandbox, users
from controllers.pages.frame import bp

__all__ = ["audit", "bp", "live", "login", "sandbox", "users"]
