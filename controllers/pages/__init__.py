"""The pages for the browser. To add one: a file here, a template, and a line in menu.py."""

from __future__ import annotations

from controllers.pages import audit, email, emails, live, login, overview, sandbox, smtp_configs, users
from controllers.pages.frame import bp

__all__ = ["audit", "bp", "email", "emails", "live", "login", "overview", "sandbox", "smtp_configs", "users"]
