"""Who changed what."""

from __future__ import annotations

import json

import click

from controllers.cli.context import Session, operator, pass_session
from controllers.cli.output import json_option, print_json, print_table, tenant_option
from services import audit


@click.group("audit")
def group() -> None:
    """Tell who changed what."""


@group.command("list")
@click.option("--actor", default="", help="Only what this one did, by the whole name: `command line (ann)`.")
@click.option("--action", default="", help="Only this action, such as pause_queue.")
@click.option("--before", type=click.IntRange(1), help="Only what came before the entry with this id.")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="Show so many, newest first."
)
@tenant_option
@json_option
@pass_session
def list_(
    session: Session, actor: str, action: str, before: int | None, limit: int, tenant: str, as_json: bool
) -> None:
    """List changes of how the relay works, newest first."""
    session.open()
    found = audit.page(
        operator(tenant).visible_tenant, actor=actor, action=action, before=before, limit=limit
    )
    if as_json:
        print_json(found)
        return
    lines = [
        (one["id"], one["at"], one["actor"], one["action"], one["target"], _told(one["details"]))
        for one in found
    ]
    print_table(("id", "at", "who", "did", "to", "details"), lines)


def _told(details: dict[str, object]) -> str:
    return json.dumps(details, ensure_ascii=False) if details else ""
