"""What a command changes is in the audit log, by whom; what only looks is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from controllers.cli import cli
from controllers.cli.audited import CHANGES
from tests.cli.conftest import CommandLine
from tests.support.database import sqlite_only
from utils.machine import os_user

CONFIG = ("configs", "add", "--name", "relay", "--email", "a@b.test", "--host", "127.0.0.1", "--port", "9")
# Commands that change nothing of how the relay works. `send` sends, `accounts sync` reads; `restore` tells by itself.
LOOKS = {
    "serve", "send", "email", "tail", "settings", "completion", "doctor", "backup", "verify", "restore",
    "emails list", "emails show", "emails why", "emails events", "emails raw", "unknown list", "queue", "queue show",
    "configs list", "configs show", "configs test", "accounts list", "accounts test", "accounts sync", "keys list",
    "users list", "suppressions list", "suppressions export", "sandbox list", "sandbox show", "sandbox raw",
    "audit list", "templates list", "templates versions", "templates show", "templates preview", "templates test",
}  # fmt: skip


def every_command() -> set[str]:
    """`configs add` and so on; a group that does something by itself too."""

    def walk(command: click.Command, path: str) -> set[str]:
        if not isinstance(command, click.Group):
            return {path}
        context = click.Context(command)
        found = {path} if command.invoke_without_command and path else set()
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            found |= walk(below, f"{path} {name}".strip())
        return found

    return walk(cli, "")


def entries(run: CommandLine, *argv: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run("audit", "list", "--json", *argv).json
    return found


def test_every_command_is_known_to_change_something_or_to_look() -> None:
    assert set(CHANGES) | LOOKS == every_command()
    assert not set(CHANGES) & LOOKS


def test_a_change_is_told_with_who_what_and_how_but_no_secret(run: CommandLine) -> None:
    run(*CONFIG, "--username", "me", "--password-stdin", piped="planted-secret\n")
    run("configs", "update", "1", "--daily-limit", "50", "--tenant", "")
    run("configs", "list")
    run("configs", "pause", "77")
    updated, added = entries(run)
    assert added["actor"] == f"command line ({os_user()})" and added["action"] == "create_smtp_config"
    assert added["target"] == "smtp config 1" and added["details"]["smtp_port"] == 9
    assert updated["target"] == "smtp config 1" and updated["details"] == {"daily_limit": 50}
    assert "planted" not in run("audit", "list").out
    assert entries(run, "--action", "pause_smtp_config") == []
    assert entries(run, "--actor", "somebody else") == []
    assert [one["id"] for one in entries(run, "--before", str(updated["id"]))] == [added["id"]]


def test_many_emails_are_one_entry_that_names_those_that_changed(run: CommandLine) -> None:
    run(*CONFIG)
    for _ in range(3):
        run("send", "--to", "ann@example.com", "--text", "Hi")
    before = len(entries(run))
    run("emails", "cancel", "1", "2", "99")
    run("emails", "cancel", "1", "99")  # 1 stays cancelled
    run("emails", "cancel", "99")
    run("emails", "cancel", "--status", "queued", "--all")  # nobody can be asked
    found = entries(run)
    assert len(found) == before + 2
    assert found[1]["action"] == "cancel_emails" and found[1]["target"] == "emails 1, 2"


def test_keys_and_users_are_named_and_their_secrets_are_not(run: CommandLine) -> None:
    secret = run("keys", "create", "--name", "shop", "--json").json["key"]
    run("users", "add", "ann", piped="a long enough password\n")
    run("users", "password", "ann", piped="another long password\n")
    run("keys", "revoke", "1")
    run("keys", "rotate", "--new")
    shown = run("audit", "list", "--json")
    assert [one["target"] for one in shown.json] == ["key 1", "user ann", "user ann", "key 1"]
    assert secret not in shown.out and "long" not in shown.out


@sqlite_only
def test_a_restore_is_told_in_the_database_that_it_brings(run: CommandLine) -> None:
    run(*CONFIG)
    file = run("backup", "--json").json["file"]
    run("configs", "pause", "1")
    assert run("restore", file, "--force").status == 0
    restored, added = entries(run)
    assert restored["action"] == "restore_backup" and restored["target"] == Path(file).name
    assert restored["actor"].startswith("command line (") and added["action"] == "create_smtp_config"
