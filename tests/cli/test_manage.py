"""What the pages do with the queue, SMTP configs, suppressions, the sandbox and settings, as commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from services import sandbox
from tests.cli.conftest import CommandLine
from tests.support.sink import Sink
from utils.clock import now_ms

ADD = ("configs", "add", "--name", "relay", "--email", "relay@sender.test", "--host", "127.0.0.1", "--port", "9",
       "--tls", "none", "--json")  # fmt: skip


def test_the_queue_is_shown_paused_and_resumed(run: CommandLine) -> None:
    assert run("queue", "--json").json["paused"] is False
    assert run("queue", "pause").status == 0
    assert run("queue", "show", "--json").json["paused"] is True
    assert "whole relay" in run("queue").out
    assert run("queue", "resume", "--json").json == {"paused": False}
    assert run("queue", "show", "--json").json["paused"] is False


def test_a_config_is_shown_changed_paused_resumed_and_deleted(run: CommandLine) -> None:
    number = str(run(*ADD).json["config_id"])
    changed = run("configs", "update", number, "--name", "other", "--hourly-limit", "20", "--from-domain", "a.test",
                  "--no-verify", "--inactive")  # fmt: skip
    assert changed.status == 0, changed.err
    shown = run("configs", "show", number, "--json").json
    assert (shown["name"], shown["hourly_limit"], shown["from_domains"]) == ("other", 20, ["a.test"])
    assert (shown["verify_tls"], shown["active"], shown["history"]) == (False, False, [])
    assert run("configs", "update", number, "--hourly-limit", "0", "--from-domain", "").status == 0
    assert run("configs", "show", number, "--json").json["windows"]["hour"]["limit"] is None
    assert "other" in run("configs", "show", number).out

    assert run("configs", "pause", number).status == 0
    assert run("configs", "show", number, "--json").json["pause"]["by"] == "person"
    assert run("configs", "resume", number, "--json").json["paused"] is False
    assert run("configs", "delete", number).status == 2, "nobody can be asked"
    assert run("configs", "delete", number, "--yes").status == 0
    assert run("configs", "list", "--json").json == []


def test_a_new_host_clears_the_password_and_says_how_to_give_it_again(run: CommandLine) -> None:
    added = run(*ADD, "--username", "me", "--password-stdin", piped="planted-secret\n")
    number = str(added.json["config_id"])
    moved = run("configs", "update", number, "--host", "127.0.0.2")
    assert moved.status == 0 and f"configs update {number} --ask-password" in moved.err
    assert run("configs", "show", number, "--json").json["has_password"] is False
    assert run("configs", "update", number, "--password-stdin", piped="planted-secret\n").status == 0
    shown = run("configs", "show", number, "--json")
    assert shown.json["has_password"] is True and "planted" not in shown.out
    assert run("configs", "update", number).status == 2


def test_each_step_of_a_test_is_told_when_it_is_done(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with Sink() as sink:
        number = str(run(*ADD[:8], "--port", str(sink.port), "--tls", "none", "--json").json["config_id"])
        monkeypatch.setattr("click.echo", lambda text="", **_: told.append(str(text)))
        assert run("configs", "test", number).status == 0
    assert [one.split()[0] for one in told] == ["dns", "connect", "banner", "ehlo"], (
        "a line a step, not one table"
    )


def test_suppressions_are_filtered_and_removed_together(run: CommandLine) -> None:
    added = run("suppressions", "add", "ann@example.com", "bob@example.com", "--json")
    assert added.json == {"added": 2, "present": 0}
    assert run("suppressions", "list", "--reason", "complaint", "--json").json == []
    assert len(run("suppressions", "list", "--reason", "manual", "--json").json) == 2
    assert run("suppressions", "remove", "ann@example.com", "bob@example.com", "--json").json == {
        "removed": 2
    }
    missing = run("suppressions", "remove", "ann@example.com")
    assert missing.status == 1 and "suppressions list" in missing.err


def test_the_sandbox_is_read_and_cleared(run: CommandLine) -> None:
    assert run("sandbox", "list", "--json").json == []
    mail = b"From: a@b.test\r\nTo: ann@example.com\r\nSubject: Caught \x1b[31m\r\n\r\nHello \x1b[2J Ann\r\n"
    number = str(sandbox.store("a@b.test", ["ann@example.com"], mail, now_ms()))
    assert [one["id"] for one in run("sandbox", "list", "--json").json] == [int(number)]
    shown = run("sandbox", "show", number)
    assert "ann@example.com" in shown.out and "Hello" in shown.out
    assert "\x1b" not in shown.out + run("sandbox", "list").out, "no letter drives the terminal"
    assert run("sandbox", "show", number, "--json").json["text"].startswith("Hello")
    assert run("sandbox", "clear").status == 2
    assert run("sandbox", "clear", "--yes", "--json").json == {"deleted": 1}
    assert run("sandbox", "show", number).status == 1


def test_settings_are_shown_without_their_secrets(run: CommandLine) -> None:
    run.env["MAX_RETRIES"] = "7"
    shown = run("settings", "--json")
    values = {one["name"]: one for one in shown.json}
    assert values["MAX_RETRIES"]["value"] == "7" and values["MAX_RETRIES"]["changed"]
    assert all(run.env[name] not in shown.out for name in ("API_KEY", "SECRET_KEY", "CREDENTIALS_KEY"))
    assert "PORT" not in run("settings", "--changed").out.split()
    assert not run.data_dir.joinpath("mailferry.db").exists(), "they are told without a database"


def test_a_template_goes_back_to_a_version_and_away(run: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "hello.html"
    for said in ("<p>First</p>", "<p>Second</p>"):
        file.write_text(said)
        assert run("templates", "save", str(file), "--subject", "Hi").status == 0
    assert [one["version"] for one in run("templates", "versions", "hello", "--json").json] == [2, 1]
    assert run("templates", "restore", "hello", "1", "--json").json == {"name": "hello", "version": 3}
    assert "First" in run("templates", "show", "hello", "--part", "html").out
    assert run("templates", "delete", "hello").status == 2
    assert run("templates", "delete", "hello", "--yes").status == 0
    assert "templates list" in run("templates", "show", "hello").err
    told = [one["action"] for one in run("audit", "list", "--json").json]
    assert told == ["delete_template", "restore_template_version", "save_template", "save_template"]


def test_a_locked_user_is_unlocked(run: CommandLine) -> None:
    assert run("users", "add", "ann", "--json", piped="a long enough password\n").json["name"] == "ann"
    assert run("users", "unlock", "ann").status == 0
    assert run("users", "remove", "ann", "--json").json == {"name": "ann", "removed": True}
    assert "users list" in run("users", "unlock", "ann").err
