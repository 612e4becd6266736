"""The settings of an SMTP config, as options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_SERVER = (
    click.option("--host", "smtp_host", help="Server; needed to add one without --provider."),
    click.option(
        "--port", "smtp_port", type=click.IntRange(1, 65535), help="Default: 587, or 465 with --tls implicit."
    ),
    click.option(
        "--tls", type=click.Choice(["starttls", "implicit", "none"]), help="Default: follows from the port."
    ),
    click.option(
        "--verify/--no-verify", "verify_tls", default=None, help="Check its certificate, or take any."
    ),
)
_FURTHER = (
    click.option("--display-name", help="Name shown beside the address."),
    click.option("--hourly-limit", type=click.IntRange(0), help="0: none."),
    click.option("--daily-limit", type=click.IntRange(0), help="0: none."),
    click.option("--limit-unit", type=click.Choice(["messages", "recipients"]), help="What the limits count."),
    click.option("--max-connections", type=click.IntRange(1, 100), help="At most at a time."),
    click.option("--max-messages", "max_messages_per_connection", type=click.IntRange(1, 100_000),
                 help="At most on a connection."),
    click.option("--weight", type=click.IntRange(0, 1000), help="Share of the mail that names no config."),
    click.option("--from-domain", "from_domains", multiple=True, help="Domain that it may send as. Repeatable."),
    click.option("--allow-any-sender/--own-sender-only", default=None, help="Whether it may send as any address."),
    click.option("--shared/--not-shared", default=None, help="Whether all tenants may use it."),
    click.option("--verp/--no-verp", default=None, help="Whether its mailbox takes local+anything: for bounces."),
)  # fmt: skip


def server_options(command: F) -> F:
    return _with(_SERVER, command)


def further_options(command: F) -> F:
    return _with(_FURTHER, command)


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The fields that were given, in the words of services.configs. An empty text takes away what it names."""
    fields = {name: value for name, value in options.items() if value not in (None, ())}
    tls = fields.pop("tls", None)
    if tls is not None:
        fields |= {"use_tls": tls == "starttls", "use_ssl": tls == "implicit"}
    if "from_domains" in fields:
        fields["from_domains"] = [one for one in fields["from_domains"] if one]
    if fields.get("username") == "":
        fields["username"] = None
    return fields


def _with(options: tuple[Callable[[F], F], ...], command: F) -> F:
    for option in reversed(options):
        command = option(command)
    return command
