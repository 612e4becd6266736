"""The command line: `python app.py [command]`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from controllers.cli.context import CliContext, Session, pass_session
from controllers.cli.lazy import Commands, Entry

__all__ = ["CliContext", "main"]

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
COMPLETE = "_MAILFERRY_COMPLETE"  # the variable by which a shell asks for completions

# A module is loaded when its command is asked for; the words are those of its docstring.
SECTIONS: dict[str, tuple[Entry, ...]] = {
    "Mail": (
        Entry("send", "send", "send", "Queue an email."),
        Entry("emails", "emails", "group", "Find emails, look at them, and act upon one or many."),
        Entry("email", "emails", "show", "Tell all about an email: state, recipients, timeline, and why it is there."),
        Entry("unknown", "unknown", "group", "List, resend or settle unknown emails, such as a restore holds."),
        Entry("tail", "tail", "tail", "Follow what happens to mail, a line an event, newest last; Ctrl-C ends it."),
        Entry("queue", "queue", "group", "Tell how the queue stands; pause or resume all delivery."),
        Entry("templates", "templates", "group", "Save, show, preview, try out and delete stored templates."),
        Entry("suppressions", "suppressions", "group", "Look after the addresses that get no mail."),
        Entry("sandbox", "sandbox", "group", "Read the mail that the sandbox caught, or delete it."),
    ),
    "Set up": (
        Entry("configs", "configs", "group", "Add, change, test, pause and delete SMTP configs."),
        Entry("accounts", "accounts", "group", "List, test and sync mail accounts."),
        Entry("keys", "keys", "group", "Make, list and revoke API keys; rotate the encryption of passwords."),
        Entry("users", "users", "group", "Add, list and remove people who sign in to the pages."),
        Entry("settings", "settings", "settings", "Show the settings in force, secrets masked."),
        Entry("completion", "completion", "completion", "Print what makes a shell complete commands, options and ids."),
    ),
    "Look after": (
        Entry("doctor", "doctor", "doctor", "Check settings, disk, clock, database and every SMTP config."),
        Entry("audit", "audit", "group", "Tell who changed what."),
        Entry("backup", "backup", "backup", "Copy the database while the relay runs, and check the copy."),
        Entry("verify", "backup", "verify", "Check a backup without restoring it."),
        Entry("restore", "backup", "restore", "Put a backup in the database's place. The relay must be stopped."),
    ),
}  # fmt: skip


@click.group(
    cls=Commands, sections=SECTIONS, invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
@click.pass_context
def cli(click_context: click.Context) -> None:
    """Mailferry, a queue-driven outbound mail relay. Without a command it serves.

    Exit status: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted.
    """
    if click_context.invoked_subcommand is None:
        click_context.invoke(serve)


@cli.command()
@pass_session
def serve(session: Session) -> None:
    """Run the relay: the HTTP API and the delivery."""
    assert session.settings is not None  # read here too, so that a wrong one is told before the server starts
    session.context.serve()


def main(context: CliContext, argv: Sequence[str] | None = None) -> int:
    """The exit status: 0, 1 when it failed, 2 for wrong usage or settings. Errors are one line on stderr."""
    try:
        result = cli.main(
            args=None if argv is None else list(argv),
            prog_name="python app.py",
            complete_var=COMPLETE,
            obj=Session(context),
            standalone_mode=False,
        )
    except click.UsageError as exc:
        return _fail(f"{exc.format_message()} ({_help_for(exc)})", MISUSED)
    except click.ClickException as exc:
        return _fail(exc.format_message(), FAILED)
    except click.Abort:
        return INTERRUPTED
    except Exception as exc:
        from controllers.cli.failures import explained  # which knows the database's errors, slow to load

        told = explained(exc)
        if told is None:
            raise
        return _fail(told.message, MISUSED if told.misused else FAILED)
    return result if isinstance(result, int) else 0


def _help_for(error: click.UsageError) -> str:
    path = error.ctx.command_path if error.ctx else "python app.py"
    return f"try: {path} --help"


def _fail(message: str, status: int) -> int:
    click.echo("mailferry: " + " ".join(message.split()), err=True)
    return status
