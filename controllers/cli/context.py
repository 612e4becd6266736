"""What the command line is handed by the composition root, and what its commands share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

import click

if TYPE_CHECKING:  # they take long to load, and --help needs none of them
    from services.principal import Principal
    from services.relay import Relay

P = ParamSpec("P")
R = TypeVar("R")


class Guest(Protocol):
    """What does the work of a daemon's poller, for one account: see workers/guest.py."""

    def begin(self, account_id: str) -> bool: ...

    def goes_on(self, seconds: float) -> bool: ...

    def end(self, seconds: float) -> None: ...


@dataclass(frozen=True)
class CliContext:
    """`compose` brings the database up to date, `bind` (for the doctor) leaves it alone. Settings have `describe()`
    and `database`."""

    load_settings: Callable[[], Any]
    compose: Callable[[Any], Relay]
    serve: Callable[[], None]
    bind: Callable[[Any], Relay] | None = None
    env_file: Path | None = None
    member: Callable[[Any, Relay], AbstractContextManager[Guest]] | None = None
    has_key: Callable[[], bool] = lambda: True  # whether CREDENTIALS_KEY is set, told without making one


class SettingsError(Exception):
    """The settings cannot be used; the message names the one."""


class Session:
    """One run of a command. Nothing is read or opened before a command asks for it."""

    def __init__(self, context: CliContext) -> None:
        self.context = context
        self.opened = False
        # For the audit log, where a command knows better than its arguments tell; "": it has changed nothing.
        self.target: str | None = None
        self.details: dict[str, Any] = {}

    @cached_property
    def settings(self) -> Any:
        try:
            return self.context.load_settings()
        except Exception as exc:  # its class is config's, which controllers do not know
            raise SettingsError(str(exc)) from exc

    def open(self) -> Relay:
        """Bind the database, brought up to date."""
        self.opened = True
        return self.context.compose(self.settings)

    def readable(self) -> bool:
        """Whether there is a database to read, told without making one."""
        if not self.context.has_key():
            return False
        place = self.settings.database
        return not isinstance(place, Path) or place.exists()

    def open_as_it_is(self) -> Relay:
        return (self.context.bind or self.context.compose)(self.settings)


def pass_session(command: Callable[Concatenate[Session, P], R]) -> Callable[P, R]:
    """Hand the session to a command; and when it has changed how the relay works, tell the audit log."""

    def run(*args: P.args, **options: P.kwargs) -> R:
        click_context = click.get_current_context()
        session = click_context.ensure_object(Session)
        try:
            result = command(session, *args, **options)
        except BaseException:
            if session.target:  # it was stopped half-way
                _note(click_context, session)
            raise
        _note(click_context, session)
        return result

    return update_wrapper(run, command)


def _note(click_context: click.Context, session: Session) -> None:
    from controllers.cli import audited

    audited.note(click_context, session)


def operator(tenant: str = "") -> Principal:
    """Whoever has a shell here and can read .env may do everything, for the service or a tenant."""
    from services.principal import Principal, Scope, check_name

    if tenant:
        check_name("tenant", tenant)
    return Principal(None, "command line", True, tenant, "", frozenset({Scope.ADMIN}))
