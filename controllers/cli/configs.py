"""SMTP configs from the command line."""

from __future__ import annotations

import sys
from typing import Any

import click

from controllers.cli.completing import config_ids
from controllers.cli.config_options import further_options, given, server_options
from controllers.cli.confirm import confirmed, yes_option
from controllers.cli.context import Session, operator, pass_session
from controllers.cli.output import (
    json_option,
    print_facts,
    print_json,
    print_table,
    safe,
    tenant_option,
    used_of,
)
from services import configs
from services.config_history import history
from services.config_test import run_test
from services.config_view import view
from services.presets import PROVIDERS
from utils.clock import now_ms

_ALL = 1_000_000
_SHOWN = (
    "id", "name", "tenant_id", "email_address", "display_name", "smtp_host", "smtp_port", "username", "has_password",
    "use_tls", "use_ssl", "verify_tls", "active", "max_connections", "weight", "from_domains", "allow_any_sender",
    "shared", "verp", "last_sent", "last_error", "last_error_at",
)  # fmt: skip

config_id = click.argument("config_id", type=int, shell_complete=config_ids)


@click.group("configs")
def group() -> None:
    """Add, change, test, pause and delete SMTP configs."""


@group.command("list")
@tenant_option
@json_option
@pass_session
def list_(session: Session, tenant: str, as_json: bool) -> None:
    """List configs with their use and what holds them."""
    session.open()
    found, _ = configs.listed(operator(tenant), _ALL, 0)
    views = [view(config, now_ms()) for config in found]
    if as_json:
        print_json(views)
        return
    print_table(
        ("id", "name", "address", "server", "tenant", "hour", "day", "hold"), [_line(one) for one in views]
    )


@group.command()
@config_id
@tenant_option
@json_option
@pass_session
def show(session: Session, config_id: int, tenant: str, as_json: bool) -> None:
    """Tell all about a config: settings, limits and their use, what holds it, and what went wrong of late."""
    session.open()
    found = view(configs.find(operator(tenant), config_id), now_ms())
    failures = history(config_id)
    if as_json:
        print_json(found | {"history": failures})
        return
    windows, hold = found["windows"], found["hold"]
    facts = {name.replace("_", " "): found[name] for name in _SHOWN}
    facts |= {"hour": used_of(windows["hour"]), "day": used_of(windows["day"]), "unit": windows["unit"]}
    facts["hold"] = f"{hold['kind']}: {hold['detail']}" if hold else None
    print_facts(facts.items())
    if failures:
        click.echo()
        columns = ("at", "email_id", "outcome", "stage", "code", "reply")
        print_table(columns, [[one[name] for name in columns] for one in failures])


@group.command()
@click.option("--name", required=True, help="Unique per tenant.")
@click.option("--email", "email_address", required=True, help="Address that it sends from.")
@click.option("--provider", type=click.Choice(PROVIDERS), help="Fills in host, port, TLS and usual limits.")
@server_options
@click.option("--username", help="Without it there is no login; the password is asked for.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@further_options
@tenant_option
@json_option
@pass_session
def add(session: Session, /, password_stdin: bool, tenant: str, as_json: bool, **fields: Any) -> None:
    """Add an SMTP config. It is used at once."""
    fields = given(fields)
    if password := _password(fields, password_stdin):
        fields["password"] = password
    config_id = configs.create(session.open(), operator(tenant), fields, now_ms())
    session.target = str(config_id)
    if as_json:
        print_json({"config_id": config_id})
    else:
        click.echo(f"Config {config_id} is added. Try it: python app.py configs test {config_id}")


@group.command()
@config_id
@click.option("--name", help="Unique per tenant.")
@click.option("--email", "email_address", help="Address that it sends from.")
@server_options
@click.option("--username", help="Empty: no login.")
@click.option("--ask-password", is_flag=True, help="Ask for a new password.")
@click.option("--password-stdin", is_flag=True, help="Read a new password from standard input.")
@click.option("--active/--inactive", default=None, help="Whether mail may go through it.")
@further_options
@tenant_option
@json_option
@pass_session
def update(
    session: Session, /, config_id: int, ask_password: bool, password_stdin: bool, tenant: str, as_json: bool,
    **fields: Any,
) -> None:  # fmt: skip
    """Change what is given of an SMTP config; all else stays.

    A new host, port, TLS mode or username clears the stored password, unless a new one comes along.
    """
    changes = given(fields)
    if password_stdin:
        changes["password"] = sys.stdin.readline().rstrip("\r\n")
    elif ask_password:
        changes["password"] = str(click.prompt("Password", hide_input=True, err=True))
    if not changes:
        raise click.UsageError("say what to change: see --help")
    cleared = configs.update(session.open(), operator(tenant), config_id, changes, now_ms())
    if as_json:
        print_json({"config_id": config_id, "password_cleared": cleared})
        return
    click.echo(f"Config {config_id} is changed.")
    if cleared:
        click.echo(
            "Its password was cleared, since it connects elsewhere now. Give it again:"
            f" python app.py configs update {config_id} --ask-password",
            err=True,
        )


@group.command()
@config_id
@tenant_option
@json_option
@pass_session
def pause(session: Session, config_id: int, tenant: str, as_json: bool) -> None:
    """Send nothing more through it until it is resumed; what is on the wire is finished."""
    session.open()
    configs.pause(operator(tenant), config_id)
    _done({"config_id": config_id, "paused": True}, f"Config {config_id} is paused.", as_json)


@group.command()
@config_id
@tenant_option
@json_option
@pass_session
def resume(session: Session, config_id: int, tenant: str, as_json: bool) -> None:
    """Lift its pause and its breaker, and try again at once. Its limits stay."""
    configs.resume(session.open(), operator(tenant), config_id)
    _done({"config_id": config_id, "paused": False}, f"Config {config_id} is tried again at once.", as_json)


@group.command()
@config_id
@yes_option
@tenant_option
@json_option
@pass_session
def delete(session: Session, config_id: int, yes: bool, tenant: str, as_json: bool) -> int:
    """Delete an SMTP config. Refused while mail that waits is pinned to it."""
    session.open()
    name = configs.find(operator(tenant), config_id).name
    if not confirmed(f"Delete the SMTP config {config_id} ({safe(name)})?", yes):
        session.target = ""
        return 1
    configs.delete(operator(tenant), config_id)
    session.target = f"{config_id} {name}"
    _done({"config_id": config_id, "deleted": True}, f"Config {config_id} is deleted.", as_json)
    return 0


@group.command()
@config_id
@click.option("--send-to", help="Also send a test email there; it counts against the limits.")
@tenant_option
@json_option
@pass_session
def test(session: Session, config_id: int, send_to: str | None, tenant: str, as_json: bool) -> int:
    """Connect, agree on TLS and log in, telling each step as it is done. Exit status 1 when a step fails."""
    relay = session.open()
    config = configs.find(operator(tenant), config_id)
    result = run_test(relay, config, send_to, now_ms(), told=_ignored if as_json else _tell_step)
    if as_json:
        print_json(result)
    elif certificate := result["certificate"]:
        print_facts([(name.replace("_", " "), value) for name, value in certificate.items()])
    return 0 if result["ok"] else 1


def _tell_step(one: dict[str, Any]) -> None:
    state = click.style("ok  ", fg="green") if one["ok"] else click.style("fail", fg="red", bold=True)
    click.echo(f"{one['step']:<8}  {state}  {one['ms']:>6} ms  {safe(one['detail'])}")


def _ignored(one: dict[str, Any]) -> None:
    """With --json all is told at the end."""


def _done(value: dict[str, Any], told: str, as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        click.echo(told)


def _password(fields: dict[str, Any], from_stdin: bool) -> str:
    """Never an argument: those can be read by every user of the machine."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if fields.get("username") and sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, default="", show_default=False, err=True))
    return ""


def _line(config: dict[str, Any]) -> list[Any]:
    windows, hold = config["windows"], config["hold"]
    return [
        config["id"],
        config["name"],
        config["email_address"],
        f"{config['smtp_host']}:{config['smtp_port']}",
        config["tenant_id"],
        used_of(windows["hour"]),
        used_of(windows["day"]),
        f"{hold['kind']}: {hold['detail']}" if hold else "",
    ]
