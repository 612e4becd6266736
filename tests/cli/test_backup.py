from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from services import pg_dump
from services.backup import BackupError
from tests.cli.conftest import CommandLine
from utils.crypto import new_fernet_key


def with_mail(run: CommandLine, count: int = 3) -> None:
    run("configs", "add", "--name", "c", "--email", "a@b.example", "--host", "127.0.0.1", "--port", "9")
    for _ in range(count):
        assert run("send", "--to", "ann@example.com", "--text", "Hi").status == 0


def taken(run: CommandLine) -> Path:
    result = run("backup", "--json")
    assert result.status == 0, result.err
    return Path(result.json["file"])


def lose(run: CommandLine) -> None:
    """The data folder, but for the backups in it."""
    for one in run.data_dir.iterdir():
        if one.is_file():
            one.unlink()
    shutil.rmtree(run.data_dir / "instances", ignore_errors=True)


def test_a_backup_goes_beside_the_database_and_says_what_is_not_in_it(run: CommandLine) -> None:
    with_mail(run)
    result = run("backup")
    assert result.status == 0
    assert "3 queued" in result.out and "ok" in result.out
    assert "has not .env" in result.out and "copy it to another machine" in result.out
    assert len(list((run.data_dir / "backups").glob("*.db"))) == 1


def test_backup_before_the_first_start_says_so(run: CommandLine) -> None:
    result = run("backup")
    assert result.status == 1 and "there is no database at" in result.err


def test_verify_reads_counts_and_tries_the_key(run: CommandLine, tmp_path: Path) -> None:
    with_mail(run)
    file = taken(run)
    report = run("verify", str(file), "--json")
    assert report.status == 0
    assert report.json["emails"] == {"queued": 3} and report.json["ok"] is True
    assert report.json["relay_was_running"] is False
    assert "none stored" in run("verify", str(file)).out


def test_verify_fails_with_status_1_and_the_faults(run: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    file.write_text("nonsense")
    result = run("verify", str(file))
    assert result.status == 1 and "cannot be read as a database" in result.out
    assert run("verify", str(tmp_path / "none.db")).status == 2


def test_restore_explains_what_it_held_and_how_to_go_on(run: CommandLine) -> None:
    with_mail(run)
    file = taken(run)
    lose(run)
    result = run("restore", str(file))
    assert result.status == 0, result.err
    assert "Held as unknown: 3 emails" in result.out and "unknown list" in result.out
    assert "--nothing-ran-since" in result.out, "no relay ran when it was taken"
    checks = {one["name"]: one["state"] for one in run("doctor", "--deep", "--json").json["checks"]}
    assert checks["database"] == checks["migrations"] == "ok"
    assert run("unknown", "list", "--json").json["total"] == 3
    assert "1 of 3 shown" in run("unknown", "list", "--limit", "1").out


def test_a_move_changes_nothing(run: CommandLine) -> None:
    with_mail(run)
    file = taken(run)
    lose(run)
    assert "Waiting, as they were: 3 emails" in run("restore", str(file), "--nothing-ran-since").out
    assert run("queue", "--json").json["counts"]["queued"] == 3
    assert run("send", "--to", "a@b.de", "--text", "Hi", "--json").json["email_id"] == 4


def test_an_existing_database_asks_for_force(run: CommandLine) -> None:
    with_mail(run)
    file = taken(run)
    result = run("restore", str(file))
    assert result.status == 1 and "--force moves it aside" in result.err
    result = run("restore", str(file), "--force", "--waiting", "resend", "--json")
    assert result.status == 0
    assert result.json["sent_again"] == 3 and len(result.json["moved_aside"]) >= 1
    assert all(Path(one).exists() for one in result.json["moved_aside"])


def test_unknown_mail_is_settled_or_sent_again_by_hand(run: CommandLine) -> None:
    with_mail(run, 4)
    file = taken(run)
    lose(run)
    run("restore", str(file))
    assert run("unknown", "retry").status == run("unknown", "retry", "1", "--all").status == 2
    assert run("unknown", "resolve", "sent", "1", "--json").json == {"done": 1, "left": 0}
    assert run("unknown", "resolve", "failed", "2").out == "Settled as failed: 1 email.\n"
    again = run("unknown", "retry", "1", "3")
    assert (
        again.status == 1
        and again.out == "Queued again: 1 email.\nNot unknown, or without content to send: 1 email.\n"
    )
    assert run("unknown", "retry", "--all", "--json").json == {"done": 1, "left": 0}
    counts = run("queue", "--json").json["counts"]
    assert {state: count for state, count in counts.items() if count} == {"sent": 1, "failed": 1, "queued": 2}
    assert run("email", "3", "--json").json["recipient_states"][0]["state"] == "pending"


def test_another_key_is_told_and_nothing_restored(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
    run(
        "configs", "add", "--name", "c", "--email", "a@b.example", "--host", "127.0.0.1", "--username", "u",
        "--password-stdin",
    )  # fmt: skip
    file = taken(run)
    assert "CREDENTIALS_KEY reads 1 of 1" in run("verify", str(file)).out
    run.env["CREDENTIALS_KEY"] = new_fernet_key()
    assert run("verify", str(file)).status == 1
    lose(run)
    result = run("restore", str(file))
    assert result.status == 1 and "CREDENTIALS_KEY does not open 1 of the 1" in result.err
    assert not (run.data_dir / "mailferry.db").exists()


def test_without_pg_dump_the_command_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match=r"pg_dump is not installed here.*pg_dump --format=custom"):
        pg_dump.dump("postgresql://u@127.0.0.1/mail", tmp_path, 0)


@pytest.mark.parametrize("status", [0, 1])
def test_pg_dump_is_called_without_the_password_in_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """A stand-in that notes what it was given: the call is all that is ours."""
    tool = tmp_path / "bin" / "pg_dump"
    tool.parent.mkdir()
    tool.write_text(
        "#!/bin/sh\n"
        f'echo "$@" > {tmp_path}/arguments\n'
        f'cat "$(echo "$3" | sed \'s/.*passfile=//; s/%2F/\\//g\')" > {tmp_path}/passfile\n'
        f'echo "the server said no" >&2\nexit {status}\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=":")
    url, folder = "postgresql://u:planted%3Asecret@db.example/mail?sslmode=require", tmp_path / "kept"
    if status:
        with pytest.raises(BackupError, match="pg_dump failed: the server said no"):
            pg_dump.dump(url, folder, 0)
        assert list(folder.iterdir()) == []
    else:
        assert pg_dump.dump(url, folder, 0) == folder / "mailferry-19700101T000000Z.pgdump"
        assert [one.stat().st_mode & 0o777 for one in folder.iterdir()] == [0o600]
    given = (tmp_path / "arguments").read_text()
    assert "planted" not in given and "postgresql://u@db.example/mail?sslmode=require&passfile=" in given
    assert (tmp_path / "passfile").read_text() == "*:*:*:*:planted\\:secret\n"
