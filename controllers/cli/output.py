"""Output for people (tables) and, with `--json`, for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:  # loaded when a table is printed, for what prints none
    from rich.console import Console
    from rich.text import Text

F = TypeVar("F", bound=Callable[..., Any])

_STYLES = {"ok": "green", "sent": "green", "warn": "yellow", "retry": "yellow", "unknown": "yellow"}
_STYLES |= {"fail": "bold red", "failed": "bold red"}


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(command)


def tenant_option(command: F) -> F:
    return click.option(
        "--tenant", default="", help="On behalf of this tenant; default: the service itself."
    )(command)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def write_bytes(data: bytes) -> None:
    """A message as it is, for a file or another program."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def print_table(columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Aligned columns; on a terminal with a rule and colours, elsewhere one line a row however long."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    console = _console()
    table = Table(box=SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=not console.is_terminal)
    for line in lines:
        table.add_row(*(_cell(value) for value in line))
    console.print(table)


def print_facts(facts: Iterable[tuple[str, Any]]) -> None:
    """`name  value` a line; names without a value are left out."""
    from rich.table import Table

    console = _console()
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold", no_wrap=not console.is_terminal)
    for name, value in facts:
        if value not in (None, "", []):
            table.add_row(name, _cell(value))
    console.print(table)


def emails(count: int) -> str:
    return f"{count:,} email{'' if count == 1 else 's'}"


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, where that is a terminal, to be told how much is done of how much.

    It appears when it is first told, and its line ends when all is done: others may print before and after.
    """
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    bars: list[Any] = []
    with ExitStack() as stack:

        def show(done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(_bar(label, total)))
            bars[0].length = total
            bars[0].update(done - bars[0].pos)
            if done >= total:
                stack.close()

        yield show


def _bar(label: str, total: int) -> Any:
    return click.progressbar(length=total, label=label, file=sys.stderr)


def used_of(window: dict[str, Any]) -> str:
    """A quota window: `12 of 50`, or `12` where there is no limit."""
    return str(window["used"]) if window["limit"] is None else f"{window['used']} of {window['limit']}"


def local_minute(at: str) -> str:
    """An ISO time of ours, for people: in the zone of this machine."""
    return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M}"


def safe(value: Any) -> str:
    """Without the control characters by which a subject or a reply could drive the terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in str(value))


def _cell(value: Any) -> Text:
    from rich.text import Text

    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    text = "-" if value is None else "yes" if value is True else "no" if value is False else safe(value)
    return Text(text, style=_STYLES.get(text, ""))


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=100_000, color_system=None)
