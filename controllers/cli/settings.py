"""Settings as they are in force."""

from __future__ import annotations

import click

from controllers.cli.context import Session, pass_session
from controllers.cli.output import json_option, print_json, print_table


@click.command()
@click.option("--changed", is_flag=True, help="Only those that differ from their defaults.")
@json_option
@pass_session
def settings(session: Session, changed: bool, as_json: bool) -> None:
    """Show the settings in force, secrets masked.

    They come from the environment and from .env; a change there holds after the next start.
    """
    found = [one for one in session.settings.explained() if one["changed"] or not changed]
    if as_json:
        print_json(found)
        return
    lines = [(one["name"], one["value"], one["changed"], one["why"]) for one in found]
    print_table(("setting", "value", "changed", "what it is"), lines)
