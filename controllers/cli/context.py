"""What the command line is handed by the composition root, and what its commands share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import click

from services.principal import Principal, Scope, check_name
from services.relay import Relay


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

    @cached_property
    def settings(self) -> Any:
        try:
            return self.context.load_settings()
        except Exception as exc:  # its class is config's, which controllers do not know
            raise SettingsError(str(exc)) from exc

    def open(self) -> Relay:
        """Bind the database, brought up to date."""
        return self.context.compose(self.settings)

    def open_as_it_is(self) -> Relay:
        return (self.context.bind or self.context.compose)(self.settings)


pass_session = click.make_pass_decorator(Session)


def operator(tenant: str = "") -> Principal:
    """Whoever has a shell here and can read .env may do everything, for the service or a tenant."""
    if tenant:
        check_name("tenant", tenant)
    return Principal(None, "command line", True, tenant, "", frozenset({Scope.ADMIN}))
