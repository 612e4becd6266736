"""People who sign in to the pages."""

from __future__ import annotations

import sys

import click

from controllers.cli.completing import user_names
from controllers.cli.context import Session, pass_session
from controllers.cli.output import json_option, print_json, print_table
from services import users
from services.errors import NotFoundError
from services.roles import Role
from utils.clock import now_ms

existing = click.argument("name", shell_complete=user_names)
_COLUMNS = ("id", "name", "role", "created_at", "last_seen_at", "locked_until")


@click.group("users")
def group() -> None:
    """Add, list and remove people who sign in to the pages."""


@group.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice([str(one) for one in Role]), default=str(Role.OPERATOR), show_default=True,
    help="What they may do.",
)  # fmt: skip
@json_option
@pass_session
def add(session: Session, name: str, role: str, as_json: bool) -> None:
    """Add somebody. The password is asked for, or read from a pipe."""
    password = _password()
    session.open()
    users.create(name, password, role, now_ms())
    _done(name, f"{name} may sign in now.", as_json)


@group.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List people and their roles."""
    session.open()
    found = users.listed()
    if as_json:
        print_json(found)
        return
    print_table(list(_COLUMNS), [[one[name] for name in _COLUMNS] for one in found])


@group.command()
@existing
@json_option
@pass_session
def password(session: Session, name: str, as_json: bool) -> None:
    """Set a new password, and sign them out. It also ends a lock."""
    given = _password()
    session.open()
    users.set_password(users.by_name(name).id, given)
    _done(name, f"{name} has a new password.", as_json)


@group.command()
@existing
@click.argument("role", type=click.Choice([str(one) for one in Role]))
@json_option
@pass_session
def role(session: Session, name: str, role: str, as_json: bool) -> None:
    """Change what somebody may do."""
    session.open()
    users.set_role(users.by_name(name).id, role)
    _done(name, f"{name} is {role} now.", as_json)


@group.command()
@existing
@json_option
@pass_session
def unlock(session: Session, name: str, as_json: bool) -> None:
    """End a lock that wrong passwords brought about."""
    session.open()
    users.unlock(users.by_name(name).id)
    _done(name, f"{name} may try again.", as_json)


@group.command()
@existing
@json_option
@pass_session
def remove(session: Session, name: str, as_json: bool) -> None:
    """Remove somebody, and sign them out."""
    session.open()
    users.remove(users.by_name(name).id)
    _done(name, f"{name} is removed.", as_json)


def _done(name: str, told: str, as_json: bool) -> None:
    if not as_json:
        click.echo(told)
        return
    try:
        print_json(users.described(users.find(users.by_name(name).id)))
    except NotFoundError:
        print_json({"name": name, "removed": True})


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
