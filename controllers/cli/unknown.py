"""Mail of which only the server knows whether it was sent: look, then send it again or settle it."""

from __future__ import annotations

from typing import Literal

import click

from controllers.cli.audited import listed
from controllers.cli.context import Session, pass_session
from controllers.cli.output import emails, json_option, print_json, print_table, progress_bar
from services import unknown
from utils.clock import now_ms


@click.group("unknown")
def group() -> None:
    """List, resend or settle unknown emails, such as a restore holds."""


@group.command("list")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="Show so many, oldest first."
)
@json_option
@pass_session
def list_(session: Session, limit: int, as_json: bool) -> None:
    """Tell how many there are, and show the oldest."""
    session.open()
    total, shown = unknown.listed(limit)
    if as_json:
        print_json({"total": total, "emails": shown})
        return
    columns = ("id", "accepted", "tenant", "subject", "reason")
    lines = [(one["id"], one["created_at"], one["tenant_id"], one["subject"], one["reason"]) for one in shown]
    print_table(columns, lines)
    click.echo(f"{len(shown)} of {total} shown.")


@group.command()
@click.argument("ids", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that are unknown.")
@json_option
@pass_session
def retry(session: Session, ids: tuple[int, ...], everything: bool, as_json: bool) -> int:
    """Send these again, in their old place in the queue: some maybe a second time."""
    return _decide(session, ids, everything, "retry", as_json)


@group.command()
@click.argument("outcome", type=click.Choice(["sent", "failed"]))
@click.argument("ids", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that are unknown.")
@json_option
@pass_session
def resolve(
    session: Session,
    outcome: Literal["sent", "failed"],
    ids: tuple[int, ...],
    everything: bool,
    as_json: bool,
) -> int:
    """Settle these as sent or as failed."""
    return _decide(session, ids, everything, outcome, as_json)


def _decide(
    session: Session, ids: tuple[int, ...], everything: bool, decision: unknown.Decision, as_json: bool
) -> int:
    if bool(ids) == everything:
        raise click.UsageError("name ids, or --all")
    relay = session.open()
    total = unknown.listed(0)[0] if everything else len(ids)
    with progress_bar("Settling") as show:
        done = unknown.decide(
            relay, None if everything else ids, decision, now_ms(), lambda done: show(done, total)
        )
    session.target = ("all" if everything else listed(sorted(set(ids)))) if done else ""
    left = 0 if everything else len(set(ids)) - done
    if as_json:
        print_json({"done": done, "left": left})
    else:
        click.echo(f"{'Queued again' if decision == 'retry' else f'Settled as {decision}'}: {emails(done)}.")
        if left:
            click.echo(f"Not unknown, or without content to send: {emails(left)}.")
    return 1 if left else 0
