"""Examine the installation and say what to do about each failure."""

from __future__ import annotations

from pathlib import Path

import click

from controllers.cli.context import Session, pass_session
from controllers.cli.output import json_option, print_json, print_table
from services.doctor import Premises, examine
from utils.clock import now_ms


@click.command()
@click.option("--deep", is_flag=True, help="Read the whole database with its indexes.")
@json_option
@pass_session
def doctor(session: Session, deep: bool, as_json: bool) -> int:
    """Check settings, disk, clock, database and every SMTP config. Exit status 1 when a check fails."""
    settings = session.settings
    premises = Premises(
        settings=settings.describe(),
        env_file=session.context.env_file or Path(".env"),
        database=settings.database,
        relay=session.open_as_it_is(),
    )
    checks = list(examine(premises, now_ms(), deep=deep))
    failed = any(one.state == "fail" for one in checks)
    if as_json:
        print_json({"ok": not failed, "checks": [one.as_dict() for one in checks]})
    else:
        print_table(("check", "state", "detail", "what to do"), [_line(one.as_dict()) for one in checks])
    return 1 if failed else 0


def _line(check: dict[str, str]) -> list[str]:
    return [check["name"], check["state"], check["detail"], check["advice"]]
