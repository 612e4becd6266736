"""Backups: take one, check one, put one in the database's place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from controllers.cli import audited
from controllers.cli.context import Session, pass_session
from controllers.cli.output import emails, json_option, print_facts, print_json, progress_bar
from services import pg_dump
from services.backup import back_up
from services.backup_file import Report, inspect
from services.restore import Plan, Restored
from services.restore import restore as put_back
from services.switches import note_backup
from utils.clock import iso, now_ms
from utils.crypto import Vault

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NOT_IN_IT = (
    "It has the mail, the accounts and the keys' hashes. It has not .env: without CREDENTIALS_KEY nobody can read"
    " the accounts' passwords in it, so keep that apart from the backups."
)


@click.command()
@click.option(
    "--to", type=click.Path(path_type=Path), help="Folder or new file; default: backups/ beside the database."
)
@click.option("--keep", type=click.IntRange(1), help="Delete all but the newest so many from the folder.")
@json_option
@pass_session
def backup(session: Session, to: Path | None, keep: int | None, as_json: bool) -> None:
    """Copy the database while the relay runs, and check the copy."""
    url = str(session.settings.database_url)
    if url.startswith("postgres"):
        _dump(url, to or session.settings.data_dir / "backups", keep, as_json)
        _note(session)
        return
    database: Path = session.settings.database_path
    with progress_bar("Copying") as progress:
        report, removed = back_up(
            database, to or database.parent / "backups", now_ms(), keep=keep, progress=progress
        )
    _note(session)
    if as_json:
        print_json(report.as_dict() | {"removed": [str(one) for one in removed]})
        return
    _show(report, ("deleted", [one.name for one in removed]))
    click.echo(_NOT_IN_IT)
    if report.file.stat().st_dev == database.stat().st_dev:
        click.echo("It is on the disk of the database: copy it to another machine.")


@click.command()
@click.argument("file", type=_FILE)
@json_option
@pass_session
def verify(session: Session, file: Path, as_json: bool) -> int:
    """Check a backup without restoring it. Exit status 1 when it cannot be relied upon."""
    report = inspect(file)
    unreadable = None  # on a machine without the key it is not asked for, nor made
    if report.passwords and session.context.has_key():
        unreadable = report.unreadable(_vault(session))
    if as_json:
        print_json(report.as_dict() | {"unreadable_passwords": unreadable})
    else:
        _show(report, ("passwords", _told_of_passwords(report, unreadable)))
    return 0 if report.ok and not unreadable else 1


@click.command()
@click.argument("file", type=_FILE)
@click.option("--force", is_flag=True, help="Move an existing database aside; it is kept.")
@click.option(
    "--waiting", type=click.Choice(["hold", "resend"]), default="hold", show_default=True,
    help="Mail that waited in the backup may have been sent since: hold it as unknown until a person decides"
    " (see `unknown`), or send it, maybe twice. Mail with on_unknown=hold is always held.",
)  # fmt: skip
@click.option(
    "--usage", type=click.Choice(["most", "backup"]), default="most", show_default=True,
    help="What limited accounts have sent since: count the most they may have, so that no limit is passed, or only"
    " what the backup knows.",
)  # fmt: skip
@click.option(
    "--nothing-ran-since",
    is_flag=True,
    help="No relay has run on it since the backup: all goes on as it was.",
)
@click.option("--without-key", is_flag=True, help="Even if CREDENTIALS_KEY cannot read the stored passwords.")
@json_option
@pass_session
def restore(
    session: Session, /, file: Path, waiting: str, usage: str, as_json: bool, **choices: bool
) -> None:
    """Put a backup in the database's place. The relay must be stopped."""
    settings = session.settings
    if str(settings.database_url).startswith("postgres"):
        raise click.ClickException(pg_dump.HOW_TO_RESTORE)
    plan = Plan(resend=waiting == "resend", trust_usage=usage == "backup", **choices)
    tell: Callable[[str], None] = lambda step: click.echo(f"{step} …", err=True)  # noqa: E731
    with progress_bar("Copying") as progress:
        done = put_back(
            file, settings.database_path, _vault(session), plan, now_ms(), tell, progress, audited.actor()
        )
    if as_json:
        print_json(_as_dict(done))
    else:
        _explain(done, plan)


def _vault(session: Session) -> Vault:
    """Without looking at the database, which need not be there."""
    return Vault(list(session.settings.credentials_key))


def _note(session: Session) -> None:
    """The backup is good even where the database cannot be written, such as on a full disk."""
    try:
        session.open_as_it_is()
        note_backup(now_ms())
    except Exception as exc:
        click.echo(f"The backup's time could not be noted for the metrics: {exc}", err=True)


def _dump(url: str, folder: Path, keep: int | None, as_json: bool) -> None:
    if keep is not None:
        raise click.UsageError(
            "--keep is for SQLite; let your PostgreSQL backups be rotated by what makes them"
        )
    file = pg_dump.dump(url, folder, now_ms())
    if as_json:
        print_json({"ok": True, "file": str(file), "size": file.stat().st_size})
    else:
        click.echo(f"pg_dump wrote {file}. {_NOT_IN_IT}")


def _show(report: Report, further: tuple[str, Any]) -> None:
    print_facts([
        ("backup", report.file),
        ("state", "ok" if report.ok else "fail"),
        ("faults", report.faults),
        ("taken at", iso(report.taken_at)),
        ("size", f"{report.size / 1e6:,.1f} MB"),
        ("version", report.version),
        ("to migrate", report.pending),
        ("emails", [f"{count:,} {state}" for state, count in sorted(report.counts.items())]),
        further,
    ])  # fmt: skip


def _told_of_passwords(report: Report, unreadable: int | None) -> str:
    stored = len(report.passwords)
    if not stored:
        return "none stored"
    if unreadable is None:
        return f"{stored} stored; not tried, for no CREDENTIALS_KEY is set here"
    return f"CREDENTIALS_KEY reads {stored - unreadable} of {stored}"


def _as_dict(done: Restored) -> dict[str, Any]:
    changes = done.changes
    return {
        "backup": done.report.as_dict(),
        "moved_aside": [str(one) for one in done.moved_aside],
        "held": changes.held,
        "sent_again": changes.resent,
        "waiting": changes.untouched,
        "next_id": changes.next_id or done.report.last_id + 1,
        "suppressed_since": done.suppressed_since,
        "limits_used_up_until": {name: iso(until) for name, until in changes.limits.items()},
    }


def _explain(done: Restored, plan: Plan) -> None:
    report, changes = done.report, done.changes
    click.echo(f"Restored as it was at {iso(report.taken_at)}. Mail that was accepted later is not in it.")
    click.echo(
        "Keys revoked, accounts changed and mail cancelled or erased later are as before: do that again."
    )
    if done.moved_aside:
        click.echo(f"The former database is kept: {done.moved_aside[0]}")
    if done.suppressed_since:
        click.echo(f"Taken over from it: {done.suppressed_since:,} addresses that were suppressed since.")
    if not done.suppressed_whole:
        click.echo(
            "Its list of suppressed addresses cannot be read to the end: who complained since may be missing."
        )
    if plan.nothing_ran_since:
        click.echo(f"Waiting, as they were: {emails(changes.untouched)}.")
        return
    if changes.held:
        click.echo(
            f"Held as unknown: {emails(changes.held)} that waited then and may have been sent since. Look with"
            " `python app.py unknown list`, then send them (`unknown retry`) or settle them (`unknown resolve`)."
        )
    if changes.resent:
        click.echo(f"Going now, maybe a second time: {emails(changes.resent)} that waited then.")
    if changes.held and not report.running:
        click.echo(
            "No relay ran when it was taken: if none has run since, restore --force --nothing-ran-since."
        )
    click.echo(f"Waiting for a time that has not come: {emails(changes.untouched)}.")
    click.echo(f"New ids begin at {changes.next_id:,}.")
    for name, until in changes.limits.items():
        click.echo(
            f"{name} counts as used up until {iso(until)}: what it sent since is not known (--usage backup)."
        )
