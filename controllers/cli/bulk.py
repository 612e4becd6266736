"""Acting upon many emails, each by itself: one that cannot be is told, and stops no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import click

from controllers.cli.audited import listed
from controllers.cli.confirm import confirmed
from controllers.cli.context import Session, operator
from controllers.cli.filters import Choice
from controllers.cli.output import emails, print_json, progress_bar, safe
from services.errors import ConflictError, NotFoundError
from services.selection import chosen

_TOLD = 20  # refusals


class Verb(NamedTuple):
    """`able`: the states in which it can be done."""

    ask: str  # Cancel
    done: str  # Cancelled
    able: tuple[str, ...]


def act(session: Session, choice: Choice, verb: Verb, one: Callable[[str | None, int], Any]) -> int:
    """The exit status: 1 when some could not be. `one` takes the tenant to filter by, and an id."""
    session.target = ""
    tenant = operator(choice.tenant).visible_tenant
    _check(choice, verb)
    session.open()
    ids = list(dict.fromkeys(choice.ids)) or chosen(tenant, choice.by_state(verb.able))
    if choice.everything and ids and not confirmed(f"{verb.ask} {emails(len(ids))}?", choice.yes):
        return 1
    done, refused = list[int](), list[dict[str, Any]]()
    try:
        with progress_bar(verb.done) as show:
            for number, email_id in enumerate(ids, 1):
                try:
                    one(tenant, email_id)
                    done.append(email_id)
                except (ConflictError, NotFoundError) as error:
                    refused.append({"id": email_id, "error": error.message, "code": error.code})
                show(number, len(ids))
    finally:
        session.target = listed(done)
    _tell(choice, verb, done, refused)
    return 1 if refused else 0


def _check(choice: Choice, verb: Verb) -> None:
    if choice.ids and (choice.everything or choice.narrows):
        raise click.UsageError("name ids, or choose by filters and --all, not both")
    if not choice.ids and not (choice.everything and choice.narrows):
        raise click.UsageError("name ids, or choose by filters (such as --status, --since) and --all")
    if choice.everything and not choice.by_state(verb.able):
        raise click.UsageError(
            f"{', '.join(choice.states)}: only {', '.join(verb.able)} can be {verb.done.lower()}"
        )


def _tell(choice: Choice, verb: Verb, done: list[int], refused: list[dict[str, Any]]) -> None:
    if choice.as_json:
        print_json({"done": done, "refused": refused})
        return
    click.echo(f"{verb.done}: {emails(len(done))}.")
    for one in refused[:_TOLD]:
        click.echo(safe(f"{one['id']}: {one['error']}"), err=True)
    if len(refused) > _TOLD:
        click.echo(f"and {len(refused) - _TOLD:,} more (--json lists all)", err=True)
