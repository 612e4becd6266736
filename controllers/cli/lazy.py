"""A group whose commands are loaded when they are asked for: the help of all must not load the whole relay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NamedTuple

import click


class Entry(NamedTuple):
    """`help` is shown without loading the module; a test compares it with the command's own."""

    name: str
    module: str  # in controllers.cli
    attribute: str
    help: str


class Commands(click.Group):
    """`sections`: heading → commands, as --help shows them."""

    def __init__(self, *, sections: Mapping[str, Sequence[Entry]], **options: Any) -> None:
        super().__init__(**options)
        self._sections = sections
        self._entries = {one.name: one for section in sections.values() for one in section}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self._entries]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self._entries.get(cmd_name)
        if entry is None:
            return super().get_command(ctx, cmd_name)
        found: click.Command = getattr(import_module(f"controllers.cli.{entry.module}"), entry.attribute)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Click looks for a similar name among those alone that are loaded."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            near = get_close_matches(args[0], self.list_commands(ctx), 1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{meant}", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [(name, self.commands[name].get_short_help_str(200)) for name in super().list_commands(ctx)]
        sections = {"Serve": own} | {
            heading: [(one.name, one.help) for one in section] for heading, section in self._sections.items()
        }
        for heading, lines in sections.items():
            with formatter.section(heading):
                formatter.write_dl(lines)
