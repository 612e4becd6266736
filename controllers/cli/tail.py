"""Follow what happens to mail."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import click
from peewee import PeeweeException

from controllers.cli.completing import config_ids
from controllers.cli.context import Session, operator, pass_session
from controllers.cli.moments import PAST_HELP, Moment
from controllers.cli.output import json_option, safe, tenant_option
from services import outage
from services.tail import TYPES, Tail, Wanted
from utils.clock import SECOND, now_ms, parse_iso

POLL_SECONDS = 0.5
AWAY_SECONDS = 2.0
_COLOURS = {
    "sent": "green", "delivered": "green", "deferred": "yellow", "unknown": "yellow", "returned": "yellow",
    "delayed": "yellow", "suppressed": "yellow", "failed": "red", "bounced": "red", "complained": "red",
    "expired": "red", "copy_failed": "red",
}  # fmt: skip


@click.command()
@click.option(
    "--state", "types", multiple=True, type=click.Choice(TYPES), metavar="STATE",
    help=f"Only these: {', '.join(TYPES[:9])}, … Repeatable.",
)  # fmt: skip
@click.option(
    "--config", "config_id", type=int, shell_complete=config_ids, help="Only through this SMTP config (id)."
)
@click.option("--email", "email_id", type=click.IntRange(1), help="Only this email (id).")
@click.option("--since", type=Moment(), help=f"Begin with what happened since then: {PAST_HELP}")
@click.option("--no-follow", is_flag=True, help="End when all there is has been told.")
@tenant_option
@json_option
@pass_session
def tail(
    session: Session, types: tuple[str, ...], config_id: int | None, email_id: int | None, since: int | None,
    no_follow: bool, tenant: str, as_json: bool,
) -> None:  # fmt: skip
    """Follow what happens to mail, a line an event, newest last; Ctrl-C ends it.

    It reads the database, so it goes on while the relay is restarted. With --json each line is an object.
    """
    session.open()
    following = Tail(Wanted(types, config_id, operator(tenant).visible_tenant, email_id), since)
    while True:
        lines, more = _read(following)
        for line in lines:
            click.echo(json.dumps(line, ensure_ascii=False) if as_json else _told(line))
        if no_follow and not more:
            return
        if not more:
            time.sleep(POLL_SECONDS)


def _read(following: Tail) -> tuple[list[dict[str, Any]], bool]:
    """A database server that is away comes back."""
    said = False
    while True:
        try:
            return following.read(now_ms())
        except PeeweeException as exc:
            if outage.told(exc) is None:
                raise
            if not said:
                click.echo("mailferry: the database is away; waiting for it", err=True)
            said = True
            time.sleep(AWAY_SECONDS)


def _told(line: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(parse_iso(line["at"]) / SECOND).astimezone()
    more = f" (+{line['recipients'] - 1})" if line["recipients"] > 1 else ""
    said = [str(one) for one in (line["code"], line["reply"], line["detail"]) if one]
    told = [
        f"{at:%Y-%m-%d %H:%M:%S}",
        click.style(f"{line['type']:<10}", fg=_COLOURS.get(line["type"])),
        f"{line['email_id']:>8}",
        safe(f"{line['recipient'] or '-'}{more}"),
    ]
    if line["smtp_config"] and line["type"] != "accepted":
        told.append(safe(f"via {line['smtp_config']}"))
    if said:
        told.append(safe(" ".join(said)))
    return "  ".join(told)
