"""A group whose commands are loaded when they are asked for: the help of all must not load the whole relay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import click


class Entry(NamedTuple):
    """`help` is shown without loading the module; a test compares it with the command's own."""

    name: str
    module: str  # in controllers.cli
    attribute: str
    help: str


class Loaded(MutableMapping[str, click.Command]):
    """Name → command, in the order of the entries; each module is imported when its command is first taken out."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = {one.name: one for one in entries}
        self._there: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._there:
            entry = self._entries[name]
            self._there[name] = getattr(import_module(f"controllers.cli.{entry.module}"), entry.attribute)
        return self._there[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._there[name] = command

    def __delitem__(self, name: str) -> None:
        del self._there[name]

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys((*(one for one in self._there if one not in self._entries), *self._entries))

    def __len__(self) -> int:
        return len(list(iter(self)))


class Commands(click.Group):
    """`sections`: heading → commands, as --help shows them."""

    def __init__(self, *, sections: Mapping[str, Sequence[Entry]], **options: Any) -> None:
        super().__init__(**options)
        self._sections = sections
        self._listed = {one.name for section in sections.values() for one in section}
        self.commands = Loaded(one for section in sections.values() for one in section)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [
            (name, self.commands[name].get_short_help_str(200))
            for name in self.commands
            if name not in self._listed
        ]
        sections = {"Serve": own} | {
            heading: [(one.name, one.help) for one in section] for heading, section in self._sections.items()
        }
        for heading, lines in sections.items():
            with formatter.section(heading):
                formatter.write_dl(lines)
