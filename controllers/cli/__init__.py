"""The command line: `python app.py [command]`."""

from __future__ import annotations

from collections.abc import Sequence

import click
from peewee import PeeweeException

from controllers.cli import (
    accounts,
    backup,
    configs,
    doctor,
    emails,
    keys,
    queue,
    send,
    suppressions,
    templates,
    unknown,
    users,
)
from controllers.cli.context import CliContext, Session, SettingsError, pass_session
from services import outage
from services.errors import ServiceError

__all__ = ["CliContext", "main"]

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def cli(click_context: click.Context) -> None:
    """Mailferry, a queue-driven outbound mail relay. Without a command it serves."""
    if click_context.invoked_subcommand is None:
        click_context.invoke(serve)


@cli.command()
@pass_session
def serve(session: Session) -> None:
    """Run the relay: the HTTP API and the delivery."""
    assert session.settings is not None  # read here too, so that a wrong one is told before the server starts
    session.context.serve()


for command in (
    keys.group, configs.group, accounts.group, send.send, queue.queue, emails.email, unknown.group, suppressions.group,
    templates.group, users.group, doctor.doctor, backup.backup, backup.verify, backup.restore,
):  # fmt: skip
    cli.add_command(command)


def main(context: CliContext, argv: Sequence[str] | None = None) -> int:
    """The exit status: 0, 1 when it failed, 2 for wrong usage or settings. Errors are one line on stderr."""
    try:
        result = cli.main(
            args=None if argv is None else list(argv),
            prog_name="app.py",
            obj=Session(context),
            standalone_mode=False,
        )
    except click.UsageError as exc:
        return _fail(f"{exc.format_message()} (try --help)", MISUSED)
    except click.ClickException as exc:
        return _fail(exc.format_message(), FAILED)
    except SettingsError as exc:
        return _fail(str(exc), MISUSED)
    except ServiceError as exc:
        return _fail("; ".join(f"{one.field}: {one.message}" for one in exc.details) or exc.message, FAILED)
    except OSError as exc:
        return _fail(str(exc), FAILED)
    except PeeweeException as exc:
        unavailable = outage.told(exc)
        told = (
            f"{unavailable.message} ({exc})"
            if unavailable
            else f"the database: {exc} (see what the doctor says)"
        )
        return _fail(told, FAILED)
    except click.Abort:
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _fail(message: str, status: int) -> int:
    click.echo("mailferry: " + " ".join(message.split()), err=True)
    return status
