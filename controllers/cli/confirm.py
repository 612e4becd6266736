"""Asking before what cannot be taken back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def yes_option(command: F) -> F:
    return click.option("--yes", "-y", is_flag=True, help="Do not ask.")(command)


def confirmed(question: str, yes: bool) -> bool:
    """Where nobody can be asked, only `--yes` will do."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody can be asked here: add --yes")
    if click.confirm(question, err=True):
        return True
    click.echo("Nothing is done.", err=True)
    return False
