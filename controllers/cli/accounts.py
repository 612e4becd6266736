"""Mail accounts from the command line."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from controllers.cli.context import Session, operator, pass_session
from controllers.cli.output import (
    json_option,
    print_facts,
    print_json,
    print_table,
    progress_bar,
    tenant_option,
)
from services import accounts
from services.account_test import run_test
from services.account_view import views
from services.errors import UnavailableError
from services.sync import tasks
from services.sync.run import Wish
from services.sync.task_view import view
from utils.clock import iso, monotonic, now_ms

LOOK_SECONDS = 0.3
_ALL = 1_000_000
PATIENCE_SECONDS = 15.0  # for a daemon to take it up


@click.group("accounts")
def group() -> None:
    """List, test and sync mail accounts."""


@group.command("list")
@tenant_option
@json_option
@pass_session
def list_(session: Session, tenant: str, as_json: bool) -> None:
    """List accounts, with what holds them; without --tenant those of all tenants."""
    session.open()
    found = views(accounts.listed(operator(tenant), _ALL, 0)[0])
    if as_json:
        print_json(found)
        return
    columns = ("id", "name", "address", "server", "tenant", "user", "state", "last sync", "error")
    print_table(columns, [_line(one) for one in found])


@group.command()
@click.argument("account_id")
@click.option(
    "--password-stdin", is_flag=True, help="Try the password on standard input, not the stored one."
)
@click.option("--timeout", type=click.IntRange(1, 60), default=30, show_default=True, help="Seconds.")
@tenant_option
@json_option
@pass_session
def test(
    session: Session, account_id: str, password_stdin: bool, timeout: int, tenant: str, as_json: bool
) -> int:
    """Connect, log in and list folders; also try its SMTP server. Exit status 1 when a step fails."""
    relay = session.open()
    account = accounts.find(operator(tenant), account_id)
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    works, told = run_test(relay, account, password, timeout, now_ms())
    if as_json:
        print_json(told)
        return 0 if works else 1
    steps = told["steps"] + [
        {**one, "step": f"smtp {one['step']}"} for one in told.get("smtp", {}).get("steps", [])
    ]
    lines = [(one["step"], "ok" if one["ok"] else "fail", one["ms"], one["detail"]) for one in steps]
    print_table(("step", "state", "ms", "detail"), lines)
    for one in told.get("folderDetails", []):
        print_facts([(one["type"], one["name"])])
    return 0 if works else 1


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


def _line(account: dict[str, Any]) -> list[Any]:
    last = account["lastSyncAt"]
    return [
        account["id"],
        account["accountName"],
        account["emailAddress"],
        f"{account['protocol']}://{account['hostname']}:{account['port']}",
        account["tenantId"],
        account["userId"],
        account["state"] if account["isEnabled"] else "disabled",
        None if last is None else iso(last),
        account["lastError"],
    ]
