"""What the sandbox caught."""

from __future__ import annotations

import click

from controllers.cli.confirm import confirmed, yes_option
from controllers.cli.context import Session, pass_session
from controllers.cli.output import json_option, print_facts, print_json, print_table, safe, write_bytes
from services import sandbox

_id = click.argument("message_id", type=int)
_HEADERS = ("From", "To", "Cc", "Reply-To", "Date", "Message-ID")


@click.group("sandbox")
def group() -> None:
    """Read the mail that the sandbox caught, or delete it."""


@group.command("list")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="Show so many, newest first."
)
@json_option
@pass_session
def list_(session: Session, limit: int, as_json: bool) -> None:
    """List what was caught, newest first."""
    session.open()
    found = sandbox.messages(limit)
    if as_json:
        print_json(found)
        return
    lines = [
        (
            one["id"],
            one["received_at"],
            one["envelope"]["mail_from"],
            one["envelope"]["rcpt_tos"],
            one["subject"],
        )
        for one in found
    ]
    print_table(("id", "received", "from", "to", "subject"), lines)


@group.command()
@_id
@json_option
@pass_session
def show(session: Session, message_id: int, as_json: bool) -> None:
    """Read one: envelope, headers, text."""
    session.open()
    found = sandbox.message(message_id)
    if as_json:
        print_json(found)
        return
    headers = {name.lower(): value for name, value in found["headers"]}
    print_facts([
        ("subject", found["subject"]), ("received", found["received_at"]),
        ("envelope from", found["envelope"]["mail_from"]), ("envelope to", found["envelope"]["rcpt_tos"]),
        *((name.lower(), headers.get(name.lower())) for name in _HEADERS),
        ("attachments", [one["filename"] for one in found["attachments"]]),
    ])  # fmt: skip
    click.echo()
    for line in (found["text"] or "").splitlines():
        click.echo(safe(line))
    if found["html"] and not found["text"]:
        click.echo("It has html alone: see --json, or `sandbox raw`.", err=True)


@group.command()
@_id
@pass_session
def raw(session: Session, message_id: int) -> None:
    """Write one as it came over SMTP (RFC 5322) to standard output."""
    session.open()
    write_bytes(sandbox.raw(message_id))


@group.command()
@yes_option
@json_option
@pass_session
def clear(session: Session, yes: bool, as_json: bool) -> int:
    """Delete all that was caught."""
    session.open()
    session.target = ""
    if not confirmed("Delete all that the sandbox caught?", yes):
        return 1
    count = sandbox.clear()
    session.target = f"{count} mails"
    if as_json:
        print_json({"deleted": count})
    else:
        click.echo(f"Deleted: {count:,}.")
    return 0
