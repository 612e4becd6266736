"""The pages for the browser. To add one: a file here, a template, and a line in menu.py."""

from __future__ import annotations

from controllers.pages import (  # noqa: F401 - each routes its pages
    audit,
    compose,
    email,
    emails,
    keys,
    live,
    login,
    mail_accounts,
    mail_message,
    mail_writing,
    mailbox,
    overview,
    sandbox,
    settings,
    smtp_configs,
    stored_templates,
    suppressions,
    users,
    welcome,
)
from controllers.pages.frame import bp as bp
from controllers.pages.frame import missing as missing
