from __future__ import annotations

from pathlib import Path

import pytest

from models.database import database
from services import backup as backups
from services.backup import BackupError, back_up
from services.relay import Relay
from tests.queue.making import NOW, claimed, ended
from tests.support.relay import add_config, submit
from utils.filelock import FileLock


def test_a_backup_is_one_private_file_with_all_that_was_committed(
    relay: Relay, place: Path, tmp_path: Path
) -> None:
    config = add_config(password="x")
    submit(relay, NOW)
    ended(relay, "sent")
    claimed(relay, config)
    report, removed = back_up(place, tmp_path / "kept", NOW)
    (file,) = (one for one in (tmp_path / "kept").iterdir() if not one.name.endswith(".lock"))
    assert report.file == file and removed == []
    assert file.name == "mailferry-20260202T024000Z.db"
    assert file.stat().st_mode & 0o777 == 0o600
    assert report.ok and report.counts == {"queued": 1, "sent": 1, "sending": 1}
    assert (report.taken_at, report.last_id, len(report.passwords)) == (NOW, 3, 1)


def test_what_is_committed_while_it_is_taken_neither_disturbs_it_nor_is_in_it(
    relay: Relay, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "STEP_PAGES", 5)
    steps: list[int] = []

    def accept_one(done: int, _total: int) -> None:
        steps.append(done)
        submit(relay, NOW)

    add_config()
    submit(relay, NOW)
    report, _ = back_up(place, tmp_path / "kept", NOW, progress=accept_one)
    assert len(steps) > 5 and steps == sorted(steps), "it began once"
    assert report.counts == {"queued": 1}


def test_it_says_whether_a_relay_runs(relay: Relay, place: Path, tmp_path: Path) -> None:
    assert not back_up(place, tmp_path / "a.db", NOW)[0].running
    with FileLock(place.with_name("daemon.lock")):
        assert back_up(place, tmp_path / "b.db", NOW)[0].running


def test_a_file_that_is_there_is_never_overwritten(relay: Relay, place: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.db"
    file.write_text("precious")
    with pytest.raises(BackupError, match="is there already"):
        back_up(place, file, NOW)
    assert file.read_text() == "precious"


def test_keep_deletes_the_oldest_of_ours_and_nothing_else(relay: Relay, place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    others = [folder / "mailferry.db", folder / "mailferry-notes.db", folder / "report.txt"]
    for one in others:
        one.write_text("not ours")
    files = [back_up(place, folder, NOW + n * 1000, keep=3)[0].file for n in range(5)]
    assert [one.exists() for one in files] == [False, False, True, True, True]
    assert all(one.exists() for one in others)


def test_keep_needs_a_folder(relay: Relay, place: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="--keep needs a folder"):
        back_up(place, tmp_path / "one.db", NOW, keep=3)


def test_what_a_killed_backup_left_behind_is_cleared_away(relay: Relay, place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    left = folder / ".mailferry-20260101T000000Z.db.part"
    left.write_text("half")
    back_up(place, folder, NOW)
    assert not left.exists()
    named = folder / ".mine.db.part"
    named.write_text("half")
    assert back_up(place, folder / "mine.db", NOW)[0].ok
    assert not named.exists()


def test_two_at_a_time_do_not_meet_in_one_folder(relay: Relay, place: Path, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".mailferry-backup.lock"), pytest.raises(BackupError, match="another backup"):
        back_up(place, tmp_path / "a.db", NOW)


def test_a_damaged_database_gives_no_backup_and_keeps_the_old_ones(
    relay: Relay, place: Path, tmp_path: Path
) -> None:
    add_config()
    for _ in range(50):
        submit(relay, NOW)
    folder = tmp_path / "kept"
    good = back_up(place, folder, NOW, keep=1)[0].file
    database.close()
    database.close_writer()
    with place.open("rb+") as file:
        file.seek(20 * 4096)
        file.write(b"\xff" * 4096 * 4)
    with pytest.raises(BackupError, match=r"damaged|cannot be copied"):
        back_up(place, folder, NOW + 1000, keep=1)
    assert good.exists()
    assert list(folder.glob("*.db")) == [good] and list(folder.glob(".*.part*")) == []


def test_no_database_is_told_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="there is no database at"):
        back_up(tmp_path / "nowhere.db", tmp_path / "kept", NOW)
