"""The queue at a glance, and the switch of all delivery."""

from __future__ import annotations

from typing import Any

import click

from controllers.cli.context import Session, operator, pass_session
from controllers.cli.output import json_option, print_facts, print_json, print_table, tenant_option, used_of
from services import switches
from services.stats import queue_stats
from utils.clock import now_ms


@click.group("queue", invoke_without_command=True)
@tenant_option
@json_option
@click.pass_context
def group(click_context: click.Context, tenant: str, as_json: bool) -> None:
    """Tell how the queue stands; pause or resume all delivery. Without a command: show."""
    if click_context.invoked_subcommand is None:
        click_context.invoke(show, tenant=tenant, as_json=as_json)


@group.command()
@tenant_option
@json_option
@pass_session
def show(session: Session, tenant: str, as_json: bool) -> None:
    """Tell how much waits, since when, where it piles up, and how fast it moves."""
    relay = session.open()
    stats = queue_stats(relay, operator(tenant).visible_tenant, now_ms())
    if as_json:
        print_json(stats)
        return
    print_facts([("paused", "yes, the whole relay" if stats["paused"] else None), *stats["counts"].items()])
    oldest = stats["oldest_waiting_seconds"]
    print_facts([("longest wait", None if oldest is None else f"{oldest} s")])
    for print_part in (_rates, _configs, _ages):
        click.echo()
        print_part(stats)


@group.command()
@json_option
@pass_session
def pause(session: Session, as_json: bool) -> None:
    """Deliver nothing more; accepting goes on, and what is on the wire is finished."""
    session.open()
    switches.pause_relay(now_ms())
    _switched(True, "Paused: mail is accepted, none is delivered.", as_json)


@group.command()
@json_option
@pass_session
def resume(session: Session, as_json: bool) -> None:
    """Deliver again."""
    relay = session.open()
    switches.resume_relay(now_ms())
    relay.wake()
    _switched(False, "Delivering again.", as_json)


def _switched(paused: bool, told: str, as_json: bool) -> None:
    if as_json:
        print_json({"paused": paused})
    else:
        click.echo(told)


def _rates(stats: dict[str, Any]) -> None:
    rates = stats["rates_per_minute"]
    periods = list(next(iter(rates.values())))
    print_table(("per minute, over", *periods), [(what, *pace.values()) for what, pace in rates.items()])


def _configs(stats: dict[str, Any]) -> None:
    lines = [
        (one["name"], one["tenant_id"], used_of(one["hour"]), used_of(one["day"]), one["unit"], one["connections"],
         one["hold"] or "", one["held_until"] or "")
        for one in stats["configs"]
    ]  # fmt: skip
    print_table(("config", "tenant", "hour", "day", "unit", "connections", "hold", "until"), lines)


def _ages(stats: dict[str, Any]) -> None:
    """Where mail piles up: by the config that it is pinned to and by age."""
    table = stats["ages"]
    lines = [(one["smtp_config"] or "(any)", one["total"], *one["counts"]) for one in table["rows"]]
    if lines:
        print_table(("waiting, by age", "total", *table["columns"]), lines)
