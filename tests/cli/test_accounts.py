from __future__ import annotations

import io

import pytest

from models.account import Account
from models.database import write
from services import accounts
from services.principal import Principal
from services.relay import Relay
from tests.cli.conftest import CommandLine
from tests.support.dovecot import HOST, PASSWORD, shared
from utils.clock import now_ms


def relay_of(run: CommandLine) -> Relay:
    """A bound database, as the daemon has it."""
    import app
    import config

    return app.compose(config.from_env(run.env))


def account_on(relay: Relay, name: str, port: int, protocol: str = "imap") -> str:
    who = Principal(None, "test", True, "acme", "ann", frozenset())
    fields = {
        "name": "Work", "email_address": name, "protocol": protocol, "hostname": HOST, "port": port,
        "encryption": "none", "username": name, "password": PASSWORD, "is_sync_enabled": False,
    }  # fmt: skip
    return accounts.create(relay, who, fields, now_ms()).id


def test_an_account_that_is_not_there(run: CommandLine) -> None:
    assert run("accounts", "sync", "nowhere").status == 1
    assert write(lambda: Account.select().count()) == 0


def test_accounts_are_listed_by_tenant(run: CommandLine) -> None:
    run.env["ALLOW_PRIVATE_HOSTS"] = "on"
    account = account_on(relay_of(run), "ann@example.test", 993)
    (listed,) = run("accounts", "list", "--json").json
    assert (listed["id"], listed["tenantId"], listed["userId"]) == (account, "acme", "ann")
    assert PASSWORD not in str(listed)
    table = run("accounts", "list").out
    assert account in table and "active" in table
    assert run("accounts", "list", "--tenant", "other", "--json").json == []


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_an_account_is_tried(run: CommandLine, protocol: str) -> None:
    run.env["ALLOW_PRIVATE_HOSTS"] = "on"
    server = shared()
    account = account_on(relay_of(run), server.user(), getattr(server, protocol), protocol=protocol)
    told = run("accounts", "test", account)
    assert told.status == 0, told.err
    assert "auth" in told.out and "INBOX" in told.out and "fail" not in told.out
    assert run("accounts", "test", account, "--json").json["success"] is True


def test_what_does_not_work_is_shown_and_the_exit_status(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.env["ALLOW_PRIVATE_HOSTS"] = "on"
    server = shared()
    account = account_on(relay_of(run), server.user(), server.imap)
    monkeypatch.setattr("sys.stdin", io.StringIO("planted-wrong-word\n"))
    told = run("accounts", "test", account, "--password-stdin")
    assert told.status == 1
    assert "fail" in told.out and "planted" not in told.out + told.err
    assert run("accounts", "test", "nobody").status == 1
    assert run("accounts", "test", account, "--tenant", "other").status == 1
