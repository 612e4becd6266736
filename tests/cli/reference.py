"""The reference of docs/cli.md, made of the commands themselves: `python -m tests.cli.reference` writes it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from controllers.cli import SECTIONS, cli
from controllers.cli.lazy import Entry

DOC = Path(__file__).resolve().parents[2] / "docs/cli.md"
BEGIN = "<!-- Made by `python -m tests.cli.reference` -->\n"


def written() -> str:
    """The document as it should be."""
    return DOC.read_text().partition(BEGIN)[0] + BEGIN + "\n".join(_lines()).rstrip() + "\n"


def walk(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if path:
        yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walk(below, (*path, name))


def _lines() -> Iterator[str]:
    yield ""
    for heading, section in {"Serve": (Entry("serve", "", "", ""),), **SECTIONS}.items():
        yield f"### {heading}"
        yield ""
        for entry in section:
            top = cli.get_command(click.Context(cli), entry.name)
            assert top is not None
            for path, command in walk(top, (entry.name,)):
                yield from _told(path, command)


def _told(path: tuple[str, ...], command: click.Command) -> Iterator[str]:
    context = click.Context(command)
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    group = isinstance(command, click.Group)
    called = " ".join((*path, *(one.make_metavar(context) for one in arguments)))
    yield f"{'#' * (3 + len(path))} `{called}`"
    yield ""
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    yield text if "    " not in text and "completion" not in path else text.partition("\n\n")[0]
    yield ""
    if options and not (group and len(path) > 1):
        yield "| option | |"
        yield "| --- | --- |"
        yield from (_row(one, context) for one in options)
        yield ""


def _row(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    assert record is not None, option.name
    left, right = (text.replace("|", "\\|") for text in record)
    return f"| `{left}` | {right} |"


if __name__ == "__main__":
    DOC.write_text(written())
