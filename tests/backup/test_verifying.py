from __future__ import annotations

import os
from pathlib import Path

import pytest
from pysqlite3 import dbapi2 as sqlite

from models.account import Credential
from services.backup import back_up
from services.backup_file import inspect
from services.relay import Relay
from tests.queue.making import NOW
from tests.support.relay import add_config, submit
from utils.crypto import Vault, new_fernet_key


@pytest.fixture
def file(relay: Relay, place: Path, tmp_path: Path) -> Path:
    add_config(password=relay.vault.encrypt("secret"))
    for _ in range(30):
        submit(relay, NOW)
    return back_up(place, tmp_path / "kept", NOW)[0].file


def change(file: Path, *statements: str) -> None:
    connection = sqlite.connect(str(file))
    for one in statements:
        connection.execute(one)
    connection.commit()
    connection.close()


def test_a_good_file_has_no_faults_and_is_not_touched(file: Path) -> None:
    before = (file.read_bytes(), sorted(os.listdir(file.parent)))
    assert inspect(file).faults == []
    assert (file.read_bytes(), sorted(os.listdir(file.parent))) == before


def test_a_damaged_page_is_found(file: Path) -> None:
    with file.open("rb+") as handle:
        handle.seek(file.stat().st_size - 3 * 4096)
        handle.write(b"\xff" * 4096)
    assert inspect(file).faults != []


def test_a_file_cut_short_is_found(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)
    assert inspect(file).faults != []


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\0" + b"x" * 5000])
def test_what_is_no_database_is_said_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(content)
    assert inspect(path).faults != []


def test_another_program_s_database_is_none_of_ours(tmp_path: Path) -> None:
    change(tmp_path / "x.db", "CREATE TABLE emails (id)")
    assert inspect(tmp_path / "x.db").faults == ["it is a database, but not one of Mailferry"]


def test_one_of_a_newer_version_is_refused_by_name(file: Path) -> None:
    change(file, "UPDATE schema_migrations SET name = '9999_later' WHERE name LIKE '0001%'")
    assert "a newer Mailferry made it (9999_later)" in inspect(file).faults[0]


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("DELETE FROM recipients WHERE email_id = 3", "1 emails without recipients"),
        ("UPDATE recipients SET state = 'sent' WHERE email_id < 3", "2 waiting emails without anybody to send to"),
        ("DELETE FROM contents WHERE email_id = 4", "1 waiting emails without content"),
        ("UPDATE emails SET lane_id = 99 WHERE id = 5", "1 waiting emails in no lane"),
        ("UPDATE emails SET state = 'gone' WHERE id = 6", "1 emails in a state that is none"),
        ("UPDATE emails SET state = 'sending' WHERE id = 7", "1 emails being sent without a lease"),
        (
            "INSERT INTO attachments (email_id, position, filename, content_type, blob_id) VALUES (1, 0, 'a', 'b', 5)",
            "1 emails whose attachments are missing",
        ),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_together_are_counted(file: Path, damage: str, fault: str) -> None:
    change(file, damage)
    assert fault in inspect(file).faults


def test_a_plain_copy_without_its_log_is_refused(file: Path) -> None:
    file.with_name(file.name + "-wal").write_bytes(b"x" * 100)
    assert "holds a part of it" in inspect(file).faults[0]


def test_credentials_of_mail_accounts_are_tried_too(relay: Relay, place: Path, tmp_path: Path) -> None:
    Credential.create(
        id="cred-789", tenant="acme", user="ann", secret=relay.vault.encrypt("p"), created_at=1, updated_at=1
    )
    report = inspect(back_up(place, tmp_path / "kept", NOW)[0].file)
    assert report.ok and report.unreadable(relay.vault) == 0
    assert report.unreadable(Vault([new_fernet_key()])) == 1


def test_passwords_are_tried_with_the_key(relay: Relay, file: Path) -> None:
    report = inspect(file)
    assert report.unreadable(relay.vault) == 0
    assert report.unreadable(Vault([new_fernet_key()])) == 1
