from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from models.account import Account, AccountState, Credential
from models.database import run as sql
from models.database import write
from models.email import Email
from models.smtp_config import Health, SmtpConfig
from services import switches
from services.doctor import disk
from tests.cli.conftest import CommandLine
from tests.support.ca import TestCA
from tests.support.database import POSTGRESQL, sqlite_only
from tests.support.sink import Sink
from utils.clock import DAY, HOUR, now_ms
from utils.crypto import Vault, new_fernet_key


def examine(run: CommandLine, *options: str, status: int = 0) -> dict[str, dict[str, Any]]:
    result = run("doctor", "--json", *options)
    assert result.status == status, result.out + result.err
    assert result.json["ok"] is (status == 0)
    return {one["name"]: one for one in result.json["checks"]}


def with_database(run: CommandLine) -> None:
    run("keys", "list")


def add_config(port: int = 1, **fields: Any) -> str:
    config = SmtpConfig.create(
        **{
            "tenant": "", "name": f"c{port}", "email_address": "a@b.example", "smtp_host": "127.0.0.1",
            "smtp_port": port, "use_tls": False, "created_at": 1, "updated_at": 1, **fields,
        }
    )  # fmt: skip
    Health.create(smtp_config_id=config.id)
    return f"config {config.id} ({config.name})"


@sqlite_only
def test_a_fresh_folder_is_fine_and_stays_untouched(run: CommandLine) -> None:
    checks = examine(run)
    assert checks["database"]["detail"].endswith("will be made at the first start")
    assert {one["state"] for one in checks.values()} == {"ok"}
    assert not (run.data_dir / "mailferry.db").exists()


def test_it_tells_how_old_the_last_backup_is(run: CommandLine) -> None:
    with_database(run)
    assert "none was taken" in examine(run)["backup"]["detail"]
    if POSTGRESQL:
        switches.note_backup(now_ms())  # pg_dump refuses servers that are newer than itself
    else:
        assert run("backup").status == 0
    assert examine(run)["backup"]["state"] == "ok"
    switches.note_backup(now_ms() - 8 * DAY)
    stale = examine(run)["backup"]
    assert stale["state"] == "warn" and "timer" in stale["advice"]


def test_a_healthy_relay_passes(run: CommandLine) -> None:
    with_database(run)
    with Sink() as sink:
        name = add_config(sink.port)
        checks = examine(run, "--deep")
    assert {one["name"]: one["detail"] for one in checks.values() if one["state"] != "ok"} == {}
    assert "ehlo:" in checks[name]["detail"]
    assert checks["migrations"]["state"] == "ok"
    if POSTGRESQL:
        assert "answers: PostgreSQL 18" in checks["database"]["detail"]
    else:
        assert checks["database"]["detail"] == "integrity_check found no damage"
        assert checks["sqlite"]["state"] == "ok"


def test_people_get_a_table_with_what_to_do(run: CommandLine) -> None:
    with_database(run)
    add_config(1)
    result = run("doctor")
    assert result.status == 1
    line = next(line for line in result.out.splitlines() if line.startswith("config "))
    assert "fail" in line and "smtp_port" in line


def test_an_unreachable_config_fails(run: CommandLine) -> None:
    with_database(run)
    name = add_config(1)
    check = examine(run, status=1)[name]
    assert check["state"] == "fail" and "127.0.0.1 port 1" in check["detail"] and check["advice"]


def test_an_inactive_config_is_left_alone(run: CommandLine) -> None:
    with_database(run)
    add_config(1, active=False)
    assert examine(run)["configs"]["state"] == "warn"


def test_a_refused_login_fails_and_keeps_the_password_to_itself(run: CommandLine) -> None:
    with_database(run)
    sealed = Vault([run.env["CREDENTIALS_KEY"]]).encrypt("planted-password")
    with Sink(auth=("user", "another")) as sink:
        name = add_config(sink.port, username="user", password=sealed)
        result = run("doctor", "--json")
    assert result.status == 1 and "planted-password" not in result.out + result.err
    check = next(one for one in result.json["checks"] if one["name"] == name)
    assert check["state"] == "fail" and "app password" in check["advice"]


@pytest.mark.parametrize("days", [3, 60])
def test_certificates_that_end_soon_or_are_not_verified_are_told(
    run: CommandLine, tmp_path: Path, days: int
) -> None:
    with_database(run)
    with Sink(tls=TestCA(tmp_path).server("127.0.0.1", days=days)) as sink:
        name = add_config(sink.port, use_tls=True, verify_tls=False)
        check = examine(run)[name]
    assert check["state"] == "warn" and f"{days - 1} days left" in check["detail"]
    assert ("renew" in check["advice"]) is (days < 14)


def test_a_certificate_of_a_stranger_fails(run: CommandLine, tmp_path: Path) -> None:
    with_database(run)
    with Sink(tls=TestCA(tmp_path).server("127.0.0.1")) as sink:
        name = add_config(sink.port, use_tls=True)
        check = examine(run, status=1)[name]
    assert "certificate" in check["detail"] and "use_tls" in check["advice"]


def test_a_lost_credentials_key_fails(run: CommandLine) -> None:
    with_database(run)
    add_config(1, name="gmail", active=False, username="u", password=Vault([new_fernet_key()]).encrypt("x"))
    check = examine(run, status=1)["passwords"]
    assert check["state"] == "fail" and "(gmail)" in check["detail"]


@sqlite_only
def test_a_damaged_database_fails_and_ends_the_examination(run: CommandLine) -> None:
    run.data_dir.mkdir()
    (run.data_dir / "mailferry.db").write_bytes(b"this is no database, " * 500)
    checks = examine(run, status=1)
    assert checks["database"]["state"] == "fail" and "migrations" not in checks


def test_records_from_the_future_warn(run: CommandLine) -> None:
    with_database(run)
    ahead = now_ms() + 2 * HOUR
    Email.create(
        tenant="", state="sent", priority=3, available_at=0, sort_at=0, lane_id=1, subject="", message_id="", size=0,
        recipient_count=0, due_at=0, created_at=ahead, updated_at=ahead,
    )  # fmt: skip
    assert examine(run)["records"]["state"] == "warn"


def test_mail_scheduled_for_later_is_no_record_from_the_future(run: CommandLine) -> None:
    with_database(run)
    Email.create(
        tenant="", state="scheduled", priority=3, available_at=now_ms() + DAY, sort_at=0, lane_id=1, subject="",
        message_id="", size=0, recipient_count=0, due_at=0, created_at=now_ms(), updated_at=now_ms(),
    )  # fmt: skip
    assert examine(run)["records"]["state"] == "ok"


def test_pending_migrations_are_named(run: CommandLine) -> None:
    with_database(run)
    write(lambda: sql("DELETE FROM schema_migrations"))
    check = examine(run)["migrations"]
    assert check["state"] == "warn" and "0001" in check["detail"]


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("HOST", "0.0.0.0", "HOST=0.0.0.0"),
        ("API_KEY", "your-secret-key-here", "API_KEY looks like an example"),
        ("JWT_SECRET", "aaaaaaaaaaaaaaaaaaaaaaaa", "JWT_SECRET"),
        ("CORS_ORIGINS", "*", "CORS_ORIGINS"),
        ("ALLOW_PRIVATE_HOSTS", "on", "ALLOW_PRIVATE_HOSTS"),
        ("MIN_FREE_MB", "0", "MIN_FREE_MB"),
        ("MESSAGE_ID_DOMAIN", "box.local", "box.local"),
        ("FLASK_ENV", "development", "FLASK_ENV"),
    ],
)
def test_risky_settings_warn(run: CommandLine, setting: str, value: str, told: str) -> None:
    run.env[setting] = value
    check = examine(run)["settings"]
    assert check["state"] == "warn" and told in check["detail"] and check["advice"]
    assert run.env["API_KEY"] not in check["detail"]


@sqlite_only
def test_a_full_disk_fails(run: CommandLine) -> None:
    run.env["MIN_FREE_MB"] = "1000000"
    free = os.statvfs("/").f_bavail * os.statvfs("/").f_frsize
    assert free < 10**12, "this test needs a disk with less than 1 TB free"
    assert examine(run, status=1)["disk space"]["state"] == "fail"


def test_files_open_to_others_warn(run: CommandLine) -> None:
    run.data_dir.mkdir(mode=0o755)
    run.env_file.write_text("API_KEY=x\n")
    run.env_file.chmod(0o644)
    checks = examine(run)
    assert checks["data folder"]["state"] == checks["env file"]["state"] == "warn"
    assert checks["env file"]["advice"] == f"chmod 600 {run.env_file}"


def test_the_clock_is_compared_with_the_file_system(tmp_path: Path) -> None:
    with (tmp_path / "probe").open("w") as probe:
        assert disk._clock(probe.fileno(), now_ms()).state == "ok"
        assert disk._clock(probe.fileno(), now_ms() - DAY).state == "warn"
        assert disk._clock(probe.fileno(), now_ms() + HOUR).state == "warn"


def add_account(number: int, state: AccountState = AccountState.ACTIVE, **fields: Any) -> str:
    account = Account.create(
        **{
            "id": f"id-{number}", "tenant": "acme", "user": "ann", "name": "Work",
            "email_address": f"a{number}@b.example",
            "hostname": "imap.b.example", "port": 993, "username": "a", "credential_id": f"cred-{number}",
            "state": state, "created_at": 1, "updated_at": 1, **fields,
        }
    )  # fmt: skip
    return f"account {account.id} ({account.email_address} of acme/ann)"


def test_accounts_that_need_somebody_are_told_with_what_to_do(run: CommandLine) -> None:
    with_database(run)
    assert "accounts" not in examine(run)
    new = add_account(1, AccountState.NEEDS_CREDENTIALS)
    refused = add_account(2, AccountState.NEEDS_REAUTH, last_error="wrong password", failures=1)
    over = add_account(3, AccountState.NEEDS_REAUTH, last_error="invalid_grant")
    failing = add_account(4, failures=3, last_error="no connection")
    well, off = add_account(5), add_account(6, AccountState.NEEDS_REAUTH, is_enabled=False)
    gone = add_account(7, AccountState.NEEDS_REAUTH, deleted_at=5)
    Credential.create(
        id="cred-3", tenant="acme", user="ann", kind="oauth2", secret="s", created_at=1, updated_at=1
    )
    sql("UPDATE credentials SET secret = ?", Vault([run.env["CREDENTIALS_KEY"]]).encrypt("{}"))
    checks = examine(run)
    assert (
        checks["accounts"]["detail"]
        == "6: 1 active, 1 needs_credentials, 2 needs_reauth, 1 failing, 1 disabled"
    )
    told = {
        name: f"{checks[name]['detail']} / {checks[name]['advice']}" for name in (new, refused, over, failing)
    }
    assert "no login" in told[new] and "PUT /api/credentials/cred-1" in told[new]
    assert "wrong password" in told[refused] and "app password" in told[refused]
    assert "invalid_grant" in told[over] and "logs in at the provider again" in told[over]
    assert "last 3 passes failed: no connection" in told[failing] and "accounts test id-4" in told[failing]
    assert {checks[name]["state"] for name in told} == {"warn"}
    assert not {well, off, gone} & checks.keys()


def test_of_many_such_accounts_the_worst_are_named(run: CommandLine) -> None:
    with_database(run)
    names = [add_account(number, failures=number) for number in range(1, 24)]
    found = examine(run)
    assert [name in found for name in names] == [False] * 3 + [True] * 20
    assert found["more accounts"]["detail"] == "3 more like these"


def test_configs_of_accounts_are_told_apart(run: CommandLine) -> None:
    """They are their users' affair, and only those that fail are tried."""
    with_database(run)
    add_account(1)
    add_account(2, AccountState.NEEDS_REAUTH)
    add_account(3)
    add_config(1, account_id="id-1", tenant="acme")
    add_config(2, account_id="id-2", tenant="acme")
    add_config(3, account_id="id-3", tenant="acme")
    sql(
        "UPDATE health SET failures = 1 WHERE smtp_config_id IN (SELECT id FROM smtp_configs WHERE smtp_port < 3)"
    )
    checks = examine(run)
    assert "pinned to those of mail accounts" in checks["configs"]["detail"]
    assert checks["configs of accounts"]["detail"].startswith("3 are active, 1 tried")
    (ill,) = [one for name, one in checks.items() if name.startswith("config ")]
    assert "of account id-1, a@b.example" in ill["name"]
    assert (ill["state"], "private address" in ill["detail"]) == ("warn", True)
    assert "accounts test id-1" in ill["advice"]
