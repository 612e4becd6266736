"""Mail accounts from the command line."""

from __future__ import annotations

import sys
from typing import Any

import click

from controllers.cli.completing import account_ids
from controllers.cli.context import Session, operator, pass_session
from controllers.cli.output import (
    json_option,
    print_facts,
    print_json,
    print_table,
    tenant_option,
)
from controllers.cli.syncing import sync
from services import accounts
from services.account_test import run_test
from services.account_view import views
from utils.clock import iso, now_ms

_ALL = 1_000_000


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
@click.argument("account_id", shell_complete=account_ids)
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


group.add_command(sync)


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
