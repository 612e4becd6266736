"""Which commands change how the relay works, and how the audit log calls that: as the API and the pages do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from controllers.cli.context import Session
from utils.clock import iso, now_ms
from utils.machine import os_user

if TYPE_CHECKING:
    from services.audit import Actor

# Command → the action, and what it is done to.
CHANGES = {
    "emails cancel": ("cancel_emails", "emails"),
    "emails retry": ("retry_emails", "emails"),
    "emails resolve": ("resolve_emails", "emails"),
    "emails change": ("update_emails", "emails"),
    "emails erase": ("erase_emails", "emails"),
    "unknown retry": ("retry_emails", "emails"),
    "unknown resolve": ("resolve_emails", "emails"),
    "queue pause": ("pause_queue", "relay"),
    "queue resume": ("resume_queue", "relay"),
    "configs add": ("create_smtp_config", "smtp config"),
    "configs update": ("update_smtp_config", "smtp config"),
    "configs pause": ("pause_smtp_config", "smtp config"),
    "configs resume": ("resume_smtp_config", "smtp config"),
    "configs delete": ("delete_smtp_config", "smtp config"),
    "suppressions add": ("add_suppression", ""),
    "suppressions remove": ("remove_suppression", ""),
    "suppressions import": ("import_suppressions", ""),
    "sandbox clear": ("clear_sandbox", ""),
    "templates save": ("save_template", "template"),
    "templates restore": ("restore_template_version", "template"),
    "templates delete": ("delete_template", "template"),
    "keys create": ("create_key", "key"),
    "keys revoke": ("revoke_key", "key"),
    "keys rotate": ("rotate_passwords", ""),
    "users add": ("create_user", "user"),
    "users password": ("set_user_password", "user"),
    "users role": ("set_user_role", "user"),
    "users unlock": ("unlock_user", "user"),
    "users remove": ("remove_user", "user"),
}
# `restore` tells by itself: into the database that it makes, before that is put in place.
_HOW = (
    "as_json",
    "yes",
    "password_stdin",
    "ask_password",
    "everything",
)  # options that say nothing of the change
_TIMES = ("send_at", "since", "until")
_SHOWN = 20  # ids


def note(click_context: click.Context, session: Session) -> None:
    """After the command, if it is one that changes something, and has."""
    command = path_of(click_context)
    if command not in CHANGES or not session.opened or session.target == "":
        return
    from services import audit

    action, noun = CHANGES[command]
    params = dict(click_context.params)
    target = _target(click_context, params) if session.target is None else session.target
    tenant = params.pop("tenant", "") or ""
    details = {
        name: iso(value) if name in _TIMES else _plain(value)
        for name, value in params.items()
        if _says_something(name, value)
    }
    audit.note(actor(tenant), action, f"{noun} {target}".strip(), details | session.details, now_ms())


def actor(tenant: str = "") -> Actor:
    from services.audit import Actor

    return Actor(f"command line ({os_user()})", tenant)


def path_of(click_context: click.Context) -> str:
    """`configs add`"""
    names = []
    here: click.Context | None = click_context
    while here is not None and here.parent is not None:
        names.append(here.info_name or "")
        here = here.parent
    return " ".join(reversed(names))


def listed(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:_SHOWN])) + (f" … ({len(ids):,} in all)" if len(ids) > _SHOWN else "")


def _target(click_context: click.Context, params: dict[str, Any]) -> str:
    """The arguments, as against the options."""
    names = [one.name for one in click_context.command.params if isinstance(one, click.Argument) and one.name]
    values = [params.pop(name) for name in names if name in params]
    parts = [one for value in values for one in (value if isinstance(value, tuple) else (value,))]
    more = f" … ({len(parts):,} in all)" if len(parts) > _SHOWN else ""
    return " ".join(str(_plain(one)) for one in parts[:_SHOWN]) + more


def _says_something(name: str, value: Any) -> bool:
    return name not in _HOW and value is not None and value != () and value is not False


def _plain(value: Any) -> Any:
    """A file by its name."""
    return value.name if hasattr(value, "read") else list(value) if isinstance(value, tuple) else (
        value if isinstance(value, bool | int | str) else str(value)
    )  # fmt: skip
