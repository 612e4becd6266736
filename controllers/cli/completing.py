"""Ids and names for shell completion, read from the database as it is; nothing where there is none to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click
from click.shell_completion import CompletionItem

from controllers.cli.context import Session, operator

_MOST = 200
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def config_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _found(ctx, incomplete, _configs)


def key_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _found(ctx, incomplete, _keys)


def user_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _found(ctx, incomplete, _users)


def account_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _found(ctx, incomplete, _accounts)


def _configs() -> Iterator[tuple[Any, str]]:
    from services import configs

    yield from ((one.id, one.name) for one in configs.listed(operator(), _MOST, 0)[0])


def _keys() -> Iterator[tuple[Any, str]]:
    from services import keys

    for one in keys.listed(None, _MOST, 0)[0]:
        if not one["revoked_at"]:
            yield one["id"], one["name"]


def _users() -> Iterator[tuple[Any, str]]:
    from services import users

    yield from ((one["name"], one["role"]) for one in users.listed())


def _accounts() -> Iterator[tuple[Any, str]]:
    from services import accounts

    yield from ((one.id, one.email_address) for one in accounts.listed(operator(), _MOST, 0)[0])


def _found(
    ctx: click.Context, incomplete: str, look: Callable[[], Iterator[tuple[Any, str]]]
) -> list[CompletionItem]:
    """A shell asks at each Tab: it must not make a database, nor secrets, nor print what is wrong."""
    try:
        session = ctx.find_object(Session)
        if session is None or not session.readable():
            return []
        session.open_as_it_is()
        items = [CompletionItem(str(value), help=told) for value, told in look()]
    except Exception:
        return []
    return [one for one in items if one.value.startswith(incomplete)]
