from __future__ import annotations

from services import users
from tests.cli.conftest import CommandLine
from utils.clock import now_ms

PASSWORD = "a long enough password"


def test_somebody_is_added_listed_changed_and_removed(run: CommandLine) -> None:
    assert run("users", "add", "Ann", "--role", "viewer", piped=f"{PASSWORD}\n").status == 0
    assert [(one["name"], one["role"]) for one in run("users", "list", "--json").json] == [("ann", "viewer")]
    assert run("users", "role", "ann", "admin").status == 0
    assert run("users", "password", "ann", piped="another long password\n").status == 0
    assert users.authenticate("ann", "another long password", now_ms()) is not None
    assert "admin" in run("users", "list").out
    assert run("users", "remove", "ann").status == 0
    assert run("users", "list", "--json").json == []


def test_errors_say_what_is_wrong(run: CommandLine) -> None:
    assert "must have 10" in run("users", "add", "ann", piped="short\n").err
    missing = run("users", "remove", "nobody")
    assert (missing.status, "no user nobody" in missing.err) == (1, True)
    assert run("users", "add", "ann", "--role", "king", piped=f"{PASSWORD}\n").status == 2
