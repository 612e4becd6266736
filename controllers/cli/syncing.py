"""`accounts sync`: follow the running daemon at it, or do it here where none runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from controllers.cli.context import Guest, Session, operator, pass_session
from controllers.cli.output import json_option, print_facts, print_json, safe, tenant_option
from services.errors import ConflictError
from services.presence import running
from services.principal import Principal
from services.relay import Relay
from services.sync import tasks
from services.sync.run import Counts, Wish
from services.sync.task_view import view
from utils.clock import monotonic, now_ms

LOOK_SECONDS = 0.3
PATIENCE_SECONDS = 15.0  # for a daemon to take it up
GRACE_SECONDS = 5.0  # for a pass to end once it is called off
LINE_SECONDS = 5.0  # between two lines about a folder, where there is no terminal

Told = dict[str, Any]  # the task, as its user reads it
Show = Callable[[Told], None]


@click.command()
@click.argument("account_id")
@click.option("--full", is_flag=True, help="Compare everything, and try again what is quarantined.")
@click.option(
    "--folder", "folders", multiple=True, help="Id, name or type of a folder. Repeatable; default: all."
)
@tenant_option
@json_option
@pass_session
def sync(
    session: Session, account_id: str, full: bool, folders: tuple[str, ...], tenant: str, as_json: bool
) -> int:
    """Sync an account now, and show how far it is: by the running daemon, or here where none runs.

    Exit status 1 when it fails or is cancelled; Ctrl-C cancels it, with 130. What has come stays.
    """
    relay = session.open()
    who = operator(tenant)
    task = tasks.ask(who, account_id, Wish(full, folders or None), now_ms())
    with _shown(as_json) as show:
        following = _Following(session, relay, who, task.id, account_id, show)
        try:
            told = following.to_its_end()
        except KeyboardInterrupt:
            following.call_off()
            raise
    if as_json:
        print_json(told)
    else:
        print_facts([("status", told["status"]), ("error", told["error"]), *(told["result"] or {}).items()])
    return 0 if told["status"] == "success" else 1


class _Following:
    def __init__(
        self, session: Session, relay: Relay, who: Principal, task_id: str, account_id: str, show: Show
    ) -> None:
        self._session, self._relay, self._who = session, relay, who
        self._task_id, self._account_id = task_id, account_id
        self._show = show

    def to_its_end(self) -> Told:
        patience = monotonic() + PATIENCE_SECONDS
        while (told := self._look())["finishedAt"] is None:
            late = told["startedAt"] is None and monotonic() > patience
            if late or not running(self._relay.policy, now_ms()):
                return self._do_it_here()
            time.sleep(LOOK_SECONDS)
        return told

    def call_off(self) -> None:
        """Whoever is at it ends between two steps."""
        self._cancel()
        end = monotonic() + GRACE_SECONDS
        while self._look()["finishedAt"] is None and monotonic() < end:
            time.sleep(LOOK_SECONDS)

    def _cancel(self) -> None:
        with suppress(ConflictError):  # it has ended
            tasks.cancel(self._who, self._account_id, self._task_id, now_ms())

    def _look(self) -> Told:
        told = view(tasks.find(self._who, self._task_id))
        self._show(told)
        return told

    def _do_it_here(self) -> Told:
        assert self._session.context.member is not None
        with self._session.context.member(self._session.settings, self._relay) as guest:
            try:
                return self._done_by(guest)
            except KeyboardInterrupt:
                self._cancel()
                guest.end(GRACE_SECONDS / 2)
                raise

    def _done_by(self, guest: Guest) -> Told:
        while (told := self._look())["finishedAt"] is None:
            if told["status"] == "retry":  # nobody would try it again
                tasks.fail(self._task_id, told["error"], now_ms(), final=True, counts=Counts())
            elif guest.begin(self._account_id):
                while guest.goes_on(LOOK_SECONDS):
                    self._look()
            else:  # somebody else is at it
                time.sleep(LOOK_SECONDS)
        return told


@contextmanager
def _shown(as_json: bool) -> Iterator[Show]:
    """On stderr: bars on a terminal, else lines; nothing for scripts."""
    console = Console(stderr=True, highlight=False)
    if as_json:
        yield lambda told: None
    elif console.is_terminal:
        with _bars(console) as show:
            yield show
    else:
        yield _lines()


@contextmanager
def _bars(console: Console) -> Iterator[Show]:
    """One for each folder that has something to come, in the order in which they begin."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        waiting = progress.add_task("", total=None)
        bars: dict[str, TaskID] = {}

        def show(told: Told) -> None:
            progress.update(waiting, description=safe(told["progressMessage"]), visible=not bars)
            for one in told["folders"]:
                if one["done"] and one["name"] not in bars:
                    bars[one["name"]] = progress.add_task(safe(one["name"]))
                if one["done"]:
                    progress.update(bars[one["name"]], completed=one["done"], total=one["total"])

        yield show


def _lines() -> Show:
    last: dict[str, tuple[int, float]] = {}

    def show(told: Told) -> None:
        for one in told["folders"]:
            name, done, total = one["name"], one["done"], one["total"]
            before, at = last.get(name, (0, 0.0))
            if done > before and (done == total or monotonic() - at > LINE_SECONDS):
                last[name] = done, monotonic()
                click.echo(f"{safe(name)}: {done:,} of {total:,}", err=True)

    return show
