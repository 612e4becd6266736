"""Addresses that get no mail: look, add, remove, move lists in and out."""

from __future__ import annotations

from dataclasses import asdict
from typing import TextIO

import click

from controllers.cli.context import Session, pass_session
from controllers.cli.output import json_option, print_json, print_table, tenant_option
from services import suppression_files, suppressions
from services.suppressions import Cause, Filters, New
from utils.clock import now_ms


@click.group("suppressions")
def group() -> None:
    """Look after the addresses that get no mail."""


@group.command("list")
@click.option("-q", "part", help="Only addresses with this in them.")
@click.option("--reason", type=click.Choice([str(one) for one in Cause]), help="Only those with this reason.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Show so many.")
@tenant_option
@json_option
@pass_session
def list_(
    session: Session, part: str | None, reason: str | None, limit: int, tenant: str, as_json: bool
) -> None:
    """Show the list, in the order of the addresses."""
    session.open()
    found = suppressions.listed(tenant, Filters(reason, part), limit)
    if as_json:
        print_json(found)
        return
    columns = ("address", "reason", "detail", "created_at")
    print_table(columns, [[one[name] for name in columns] for one in found])


@group.command()
@click.argument("addresses", nargs=-1, required=True)
@click.option("--detail", default="", help="For people: who asked for it, say.")
@tenant_option
@json_option
@pass_session
def add(session: Session, addresses: tuple[str, ...], detail: str, tenant: str, as_json: bool) -> None:
    """Send no more mail to these."""
    session.open()
    news = [New(suppressions.normal(one), detail=detail) for one in addresses]
    added = suppressions.add(tenant, news, now_ms())
    if as_json:
        print_json({"added": added, "present": len(news) - added})
    else:
        click.echo(f"Added: {added} of {len(news)}.")


@group.command()
@click.argument("addresses", nargs=-1, required=True)
@tenant_option
@json_option
@pass_session
def remove(session: Session, addresses: tuple[str, ...], tenant: str, as_json: bool) -> None:
    """Send mail to these addresses again."""
    session.open()
    for number, address in enumerate(addresses):
        suppressions.remove(tenant, address)
        session.target = " ".join(addresses[: number + 1])
    if as_json:
        print_json({"removed": len(addresses)})
    else:
        click.echo("Removed.")


@group.command("import")
@click.argument("file", type=click.File(encoding="utf-8"))
@tenant_option
@json_option
@pass_session
def import_(session: Session, file: TextIO, tenant: str, as_json: bool) -> int:
    """Add the addresses of a CSV file, or of - for standard input."""
    session.open()
    try:
        text = file.read()
    except UnicodeDecodeError:
        raise click.ClickException("the file is not UTF-8") from None
    result = suppression_files.read(tenant, text, now_ms())
    session.details = {"added": result.added, "failed": result.failed}
    if as_json:
        print_json(asdict(result))
    else:
        click.echo(f"Added: {result.added}. There already: {result.present}. Wrong: {result.failed}.")
        for one in result.rejected:
            click.echo(f"line {one['line']}: {one['message']}", err=True)
    return 1 if result.failed else 0


@group.command("export")
@tenant_option
@pass_session
def export(session: Session, tenant: str) -> None:
    """Write the whole list as CSV to standard output."""
    session.open()
    for some in suppression_files.written(tenant):
        click.echo(some, nl=False)
