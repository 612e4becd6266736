"""SMTP configs from the command line."""

from __future__ import annotations

import sys
from typing import Any

import click

from controllers.cli.context import Session, operator, pass_session
from controllers.cli.output import json_option, print_facts, print_json, print_table, tenant_option, used_of
from services import configs
from services.config_test import run_test
from services.config_view import view
from services.presets import PROVIDERS
from utils.clock import now_ms

_ALL = 1_000_000


@click.group("configs")
def group() -> None:
    """List, add and test SMTP configs."""


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
@click.option("--name", required=True, help="Unique per tenant.")
@click.option("--email", "email_address", required=True, help="Address that it sends from.")
@click.option("--provider", type=click.Choice(PROVIDERS), help="Fills in host, port, TLS and usual limits.")
@click.option("--host", "smtp_host", help="Server; needed without --provider.")
@click.option(
    "--port", "smtp_port", type=click.IntRange(1, 65535), help="Default: 587, or 465 with --tls implicit."
)
@click.option(
    "--tls", type=click.Choice(["starttls", "implicit", "none"]), help="Default: follows from the port."
)
@click.option("--no-verify", "verify_tls", flag_value=False, default=None, help="Take any certificate.")
@click.option("--username", help="Without it there is no login; the password is asked for.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--display-name", help="Name shown beside the address.")
@click.option("--hourly-limit", type=click.IntRange(0), help="0: none.")
@click.option("--daily-limit", type=click.IntRange(0), help="0: none.")
@click.option("--limit-unit", type=click.Choice(["messages", "recipients"]), help="What the limits count.")
@click.option("--max-connections", type=click.IntRange(1, 100), help="At most at a time.")
@click.option(
    "--weight", type=click.IntRange(0, 1000), help="Share of the mail that names no config; 0: none of it."
)
@click.option("--from-domain", "from_domains", multiple=True, help="Domain that it may send as. Repeatable.")
@click.option("--allow-any-sender", is_flag=True, default=None, help="It may send as any address.")
@click.option("--shared", is_flag=True, default=None, help="All tenants may use it.")
@tenant_option
@json_option
@pass_session
def add(
    session: Session, /, tls: str | None, password_stdin: bool, tenant: str, as_json: bool, **fields: Any
) -> None:
    """Add an SMTP config. It is used at once."""
    fields = {name: value for name, value in fields.items() if value not in (None, ())}
    if tls is not None:
        fields |= {"use_tls": tls == "starttls", "use_ssl": tls == "implicit"}
    if "from_domains" in fields:
        fields["from_domains"] = list(fields["from_domains"])
    if password := _password(fields, password_stdin):
        fields["password"] = password
    config_id = configs.create(session.open(), operator(tenant), fields, now_ms())
    if as_json:
        print_json({"config_id": config_id})
    else:
        click.echo(f"Config {config_id} is added. Try it: python app.py configs test {config_id}")


@group.command()
@click.argument("config_id", type=int)
@click.option("--send-to", help="Also send a test email there; it counts against the limits.")
@tenant_option
@json_option
@pass_session
def test(session: Session, config_id: int, send_to: str | None, tenant: str, as_json: bool) -> int:
    """Connect, agree on TLS and log in. Exit status 1 when a step fails."""
    relay = session.open()
    config = configs.find(operator(tenant), config_id)
    result = run_test(relay, config, send_to, now_ms())
    if as_json:
        print_json(result)
    else:
        lines = [
            (one["step"], "ok" if one["ok"] else "fail", one["ms"], one["detail"]) for one in result["steps"]
        ]
        print_table(("step", "state", "ms", "detail"), lines)
        if certificate := result["certificate"]:
            print_facts([(name.replace("_", " "), value) for name, value in certificate.items()])
    return 0 if result["ok"] else 1


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
