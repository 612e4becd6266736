from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.email import Email
from tests.cli.conftest import CommandLine
from tests.cli.test_send import run as run_with_a_config

run = run_with_a_config


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "welcome.html").write_text(
        "<style>p { color: red }</style><p>Hi {{ name }}</p>\n<p>{{ order.id }}</p>"
    )
    (tmp_path / "welcome.txt").write_text("Text for {{ name }}")
    (tmp_path / "vars.json").write_text(json.dumps({"name": "Ann", "order": {"id": 7}}))
    return tmp_path


def save(run: CommandLine, files: Path) -> None:
    result = run("templates", "save", str(files / "welcome.html"), "--subject", "Hi {{ name }}")
    assert (result.status, result.out) == (0, "Template welcome: version 1 is in force.\n"), result.err


def test_a_template_is_saved_shown_and_listed(run: CommandLine, files: Path) -> None:
    save(run, files)
    more = ("--text", str(files / "welcome.txt"), "--description", "first", "--json")
    assert run("templates", "save", str(files / "welcome.html"), *more).json == {
        "name": "welcome",
        "version": 2,
    }
    assert (
        run("templates", "save", str(files / "welcome.txt")).out
        == "Template welcome: version 2 is in force.\n"
    )
    shown = run("templates", "show", "welcome", "--json").json
    assert (shown["text"], shown["subject"], shown["version"]) == ("Text for {{ name }}", "Hi {{ name }}", 2)
    told = run("templates", "show", "welcome", "--version", "1")
    assert "order.id" in told.out and "--- html" in told.out and "--- text" not in told.out
    source = run("templates", "show", "welcome", "--part", "html")
    assert source.out == (files / "welcome.html").read_text()
    assert run("templates", "show", "welcome", "--part", "text", "--version", "1").status == 1
    assert [one["name"] for one in run("templates", "list", "--json").json] == ["welcome"]
    assert "first" in run("templates", "list").out
    assert run("templates", "list", "--json", "--tenant", "acme").json == []
    assert run("templates", "show", "welcome", "--tenant", "acme").status == 1


def test_a_preview_tells_what_is_missing(run: CommandLine, files: Path) -> None:
    save(run, files)
    whole = run("templates", "preview", "welcome", "--vars", str(files / "vars.json"))
    assert whole.status == 0 and "Hi Ann" in whole.out and whole.err == ""
    html = run("templates", "preview", "welcome", "--vars", str(files / "vars.json"), "--part", "html")
    assert '<p style="color: red;">Hi Ann</p>' in html.out
    part = run("templates", "preview", "welcome", "--var", "name=Bo")
    assert (part.status, part.err) == (1, "missing: order.id\n")
    assert run("templates", "preview", "welcome", "--json").json["missing"] == ["name", "order.id"]


def test_a_test_is_queued(run: CommandLine, files: Path) -> None:
    save(run, files)
    to = ("templates", "test", "welcome", "--to", "ann@example.com")
    answer = run(*to, "--vars", str(files / "vars.json"), "--var", "name=Bo", "--json").json
    email = Email.get_by_id(answer["email_id"])
    assert (email.subject, email.template_version) == ("Hi Bo", 1)
    missing = run(*to)
    assert missing.status == 1 and "variables.name: is missing (subject, line 1)" in missing.err


def test_what_is_wrong_is_one_line(run: CommandLine, files: Path) -> None:
    (files / "broken.html").write_text("\n{% if %}")
    (files / "latin.html").write_bytes(b"\xe4")
    save(run, files)
    cases = [
        (("save", str(files / "broken.html"), "--subject", "x"), 1, "html: line 2"),
        (("save", str(files / "welcome.html"), "--name", "new"), 1, "subject: is needed"),
        (("save", str(files / "welcome.html"), "--name", "No Name", "--subject", "x"), 1, "name"),
        (("save", str(files / "latin.html"), "--subject", "x"), 1, "not UTF-8"),
        (("save", str(files / "nothing.html")), 2, "does not exist"),
        (("show", "nobody"), 1, "no template nobody"),
        (("preview", "welcome", "--var", "name"), 2, "NAME=VALUE"),
        (("preview", "welcome", "--vars", str(files / "welcome.txt")), 1, "not JSON"),
    ]
    for argv, status, told in cases:
        result = run("templates", *argv)
        assert (result.status, len(result.err.splitlines())) == (status, 1), result.err
        assert told in result.err


def test_a_template_cannot_drive_the_terminal(run: CommandLine, files: Path) -> None:
    save(run, files)
    shown = run("templates", "preview", "welcome", "--var", "name=\x1b[2J", "--var", "order=x")
    assert "\x1b" not in shown.out
