"""Mail accounts from the command line."""

from __future__ import annotations

import time

import click

from controllers.cli.context import Session, operator, pass_session
from controllers.cli.output import json_option, print_facts, print_json, progress_bar, tenant_option
from services.errors import UnavailableError
from services.sync import tasks
from services.sync.run import Wish
from services.sync.task_view import view
from utils.clock import monotonic, now_ms

LOOK_SECONDS = 0.3
PATIENCE_SECONDS = 15.0  # for a daemon to take it up


@click.group("accounts")
def group() -> None:
    """Sync mail accounts."""


@group.command()
@click.argument("account_id")
@click.option("--full", is_flag=True, help="Compare everything, and try again what is quarantined.")
@click.option(
    "--folder", "folders", multiple=True, help="Id, name or type of a folder. Repeatable; default: all."
)
@tenant_option
@json_option
@pass_session
def sync(
    session: Session, account_id: str, full: bool, folders: tuple[str, ...], tenant: str, as_json: bool
) -> int:
    """Have the running daemon sync an account now, and wait for it. Exit status 1 when it fails."""
    session.open()
    who = operator(tenant)
    task_id = tasks.ask(who, account_id, Wish(full, folders or None), now_ms()).id
    deadline = monotonic() + PATIENCE_SECONDS
    with progress_bar("Syncing") as show:
        while (task := tasks.find(who, task_id)).finished_at is None:
            if task.started_at is None and monotonic() > deadline:
                tasks.cancel(who, account_id, task_id, now_ms())
                raise UnavailableError("nobody takes it up: is the daemon running?", code="NO_DAEMON")
            show(task.progress, 100)
            time.sleep(LOOK_SECONDS)
        show(100, 100)
    told = view(task)
    if as_json:
        print_json(told)
    else:
        print_facts([("status", told["status"]), ("error", told["error"]), *(told["result"] or {}).items()])
    return 0 if told["status"] == "success" else 1
