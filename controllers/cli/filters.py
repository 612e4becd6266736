"""By what emails are chosen: the filters of the page, as options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, TypeVar, cast

import click

from controllers.cli.completing import config_ids
from controllers.cli.confirm import yes_option
from controllers.cli.moments import PAST_HELP, Moment
from controllers.cli.output import json_option, tenant_option
from services import search

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--status", "states", multiple=True, type=click.Choice([str(one) for one in search.STATES]),
                 help="In this state. Repeatable."),
    click.option("--tag", help="With this tag."),
    click.option("-q", "--text", "q", help="With this in the subject or a recipient."),
    click.option("--recipient", help="To this address, whole."),
    click.option("--since", type=Moment(), help=f"Accepted since then: {PAST_HELP}"),
    click.option("--until", type=Moment(), help="Accepted before then."),
    click.option("--config", "config_id", type=int, shell_complete=config_ids, help="Pinned to this SMTP config (id)."),
)  # fmt: skip
_NAMES = ("states", "tag", "q", "recipient", "since", "until", "config_id")


@dataclass(frozen=True, slots=True)
class Choice:
    """`filters` but for the status; no `states`: any."""

    states: tuple[str, ...]
    filters: search.Filters
    tenant: str
    as_json: bool
    ids: tuple[int, ...] = ()
    everything: bool = False
    yes: bool = False

    @property
    def narrows(self) -> bool:
        return bool(self.states) or self.filters != search.Filters()

    def by_state(self, able: tuple[str, ...] = ()) -> list[search.Filters]:
        """One for each state to look at; `able`: those that an action can do something about."""
        states = [one for one in self.states or able if not able or one in able]
        return [replace(self.filters, status=one) for one in states] or ([] if able else [self.filters])


def filtered(command: F) -> F:
    """Give a command the options; it takes them as `choice`."""

    @wraps(command)
    def run(*args: Any, tenant: str, as_json: bool, **options: Any) -> Any:
        chosen = {name: options.pop(name) for name in _NAMES}
        more = {name: options.pop(name) for name in ("ids", "everything", "yes") if name in options}
        states, config_id = chosen.pop("states"), chosen.pop("config_id")
        filters = search.Filters(
            smtp_config_id=config_id, **{name: value or None for name, value in chosen.items()}
        )
        return command(*args, choice=Choice(states, filters, tenant, as_json, **more), **options)

    wrapped: Any = json_option(tenant_option(run))
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return cast(F, wrapped)


def chosen(command: F) -> F:
    """The same for what acts upon emails: ids, or filters with --all."""
    wrapped: Any = yes_option(filtered(command))
    wrapped = click.option(
        "--all", "everything", is_flag=True, help="All that the filters choose; asks first."
    )(wrapped)
    return cast(F, click.argument("ids", type=click.IntRange(1), nargs=-1)(wrapped))
