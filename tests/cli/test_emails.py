"""`emails`: found, told about, and acted upon, one and many."""

from __future__ import annotations

import json

import pytest

from models.database import run as execute
from models.database import write
from tests.cli.conftest import CommandLine


@pytest.fixture
def mail(run: CommandLine) -> CommandLine:
    """Four emails that wait, pinned and not, of the service and of a tenant."""
    add = (
        "configs",
        "add",
        "--email",
        "relay@sender.test",
        "--host",
        "127.0.0.1",
        "--port",
        "9",
        "--tls",
        "none",
    )
    assert run(*add, "--name", "one", "--shared").status == 0
    for number in (1, 2, 3):
        sent = run(
            "send", "--to", f"ann{number}@example.com", "--subject", f"Letter {number}", "--text", "Hello"
        )
        assert sent.status == 0, sent.err
    assert (
        run("send", "--to", "bob@example.com", "--subject", "Other", "--text", "Hi", "--config", "1").status
        == 0
    )
    return run


def ids(run: CommandLine, *argv: str) -> list[int]:
    result = run("emails", "list", "--json", *argv)
    assert result.status == 0, result.err
    return [one["id"] for one in result.json]


def set_state(state: str, *those: int) -> None:
    for one in those:
        write(lambda one=one: execute("UPDATE emails SET state = ? WHERE id = ?", state, one))  # type: ignore[misc]


def test_the_list_is_newest_first_and_every_filter_narrows_it(mail: CommandLine) -> None:
    assert ids(mail) == [4, 3, 2, 1]
    assert ids(mail, "--limit", "2") == [4, 3]
    assert ids(mail, "-q", "letter") == [3, 2, 1]
    assert ids(mail, "--recipient", "ANN2@example.com") == [2]
    assert ids(mail, "--config", "1") == [4]
    assert ids(mail, "--since", "1h", "--until", "2099-01-01") == [4, 3, 2, 1]
    assert ids(mail, "--until", "1h") == ids(mail, "--tag", "none") == ids(mail, "--tenant", "acme") == []
    set_state("failed", 2)
    set_state("sent", 3)
    assert ids(mail, "--status", "failed", "--status", "sent") == [3, 2]
    table = mail("emails", "list", "--status", "failed")
    assert "ann2@example.com" in table.out and "ann1@example.com" not in table.out


def test_what_is_no_time_is_told_with_an_example(mail: CommandLine) -> None:
    wrong = mail("emails", "list", "--since", "yesterday")
    assert wrong.status == 2 and "2026-01-23T10:30" in wrong.err


def test_one_is_shown_with_its_reason_events_and_bytes(mail: CommandLine) -> None:
    shown = mail("emails", "show", "2", "--json").json
    assert shown["subject"] == "Letter 2" and shown["why"]["reason"] == "position"
    for told in (mail("emails", "show", "2").out, mail("email", "2").out):  # the short form
        assert "Letter 2" in told and "ann2@example.com" in told and "accepted" in told
    assert mail("emails", "why", "2", "--json").json["position"] == 1
    assert mail("emails", "why", "2").out.startswith("1 email is ahead of it.")
    assert [one["type"] for one in mail("emails", "events", "2", "--json").json] == ["accepted"]
    assert "accepted" in mail("emails", "events", "2").out


def test_the_raw_message_is_written_as_it_is(mail: CommandLine) -> None:
    message = mail("emails", "raw", "2")
    assert message.status == 0 and "Subject: Letter 2\n" in message.out.replace("\r\n", "\n")


def test_many_are_acted_upon_by_id_and_each_refusal_is_told(mail: CommandLine) -> None:
    result = mail("emails", "cancel", "1", "2", "99", "--json")
    assert result.status == 1
    assert result.json == {
        "done": [1, 2],
        "refused": [{"id": 99, "error": "no email 99", "code": "NOT_FOUND"}],
    }
    assert ids(mail, "--status", "cancelled") == [2, 1]
    again = mail("emails", "retry", "1", "3")
    assert again.status == 1 and again.out == "Queued again: 1 email.\n"
    assert again.err.startswith("3: it is queued")


def test_a_filter_chooses_those_that_it_can_be_done_to(mail: CommandLine) -> None:
    set_state("failed", 1, 2)
    result = mail("emails", "retry", "--since", "1h", "--all", "--yes", "--json")
    assert (result.status, result.json) == (0, {"done": [1, 2], "refused": []}), "3 and 4 wait anyway"
    assert mail("emails", "cancel", "--status", "queued", "-q", "letter", "--all", "--yes").out == (
        "Cancelled: 3 emails.\n"
    )
    assert ids(mail, "--status", "queued") == [4]
    none = mail("emails", "cancel", "--recipient", "nobody@example.com", "--all", "--yes")
    assert (none.status, none.out) == (0, "Cancelled: 0 emails.\n")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["cancel"], "name ids, or choose"),
        (["cancel", "--all"], "name ids, or choose"),
        (["cancel", "--status", "queued"], "--all"),
        (["cancel", "1", "--status", "queued"], "not both"),
        (["cancel", "--status", "sent", "--all"], "only scheduled, queued, retry, sending can be cancelled"),
        (["change", "1"], "--send-at"),
        (["change", "1", "--pin", "1", "--unpin"], "exclude"),
        (["resolve", "1"], "--as"),
    ],
)
def test_what_is_not_clear_is_refused_before_anything_is_done(
    mail: CommandLine, argv: list[str], told: str
) -> None:
    result = mail("emails", *argv)
    assert result.status == 2 and told in result.err
    assert len(result.err.splitlines()) == 1
    assert ids(mail, "--status", "queued") == [4, 3, 2, 1]


def test_a_script_that_cannot_be_asked_must_say_yes(mail: CommandLine) -> None:
    result = mail("emails", "cancel", "--status", "queued", "--all")
    assert result.status == 2 and "Cancel 4 emails?" in result.err and "--yes" in result.err
    assert ids(mail, "--status", "queued") == [4, 3, 2, 1]


def test_a_person_is_asked_with_the_count(mail: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, left in (("n\n", [4, 3, 2, 1]), ("y\n", [])):
        monkeypatch.setattr("click.termui.visible_prompt_func", lambda prompt, answer=answer: answer.strip())
        result = mail("emails", "cancel", "--status", "queued", "--all")
        assert result.status == (1 if left else 0)
        assert ids(mail, "--status", "queued") == left


def test_waiting_mail_is_changed(mail: CommandLine) -> None:
    assert mail("emails", "change", "1", "2", "--send-at", "2h", "--priority", "5", "--pin", "1").status == 0
    assert ids(mail, "--status", "scheduled") == [2, 1]
    assert ids(mail, "--config", "1") == [4, 2, 1]
    shown = mail("emails", "show", "1", "--json").json
    assert shown["priority"] == 5 and "expected_at" in shown["why"]
    assert mail("emails", "change", "1", "--unpin").status == 0
    assert ids(mail, "--config", "1") == [4, 2]
    bad = mail("emails", "change", "1", "--pin", "77")
    assert bad.status == 1 and "smtp_config_id" in bad.err


def test_unknown_mail_is_settled_and_content_erased(mail: CommandLine) -> None:
    set_state("unknown", 1, 2)
    write(lambda: execute("UPDATE recipients SET state = 'unknown' WHERE email_id IN (1, 2)"))
    assert mail("emails", "resolve", "1", "--as", "sent").status == 0
    assert mail("emails", "resolve", "--status", "unknown", "--as", "failed", "--all", "--yes").status == 0
    assert (ids(mail, "--status", "sent"), ids(mail, "--status", "failed")) == ([1], [2])
    assert mail("emails", "erase", "1", "3").out == "Erased: 2 emails.\n"
    assert mail("emails", "show", "1", "--json").json["has_content"] is False
    gone = mail("emails", "raw", "1")
    assert gone.status == 1 and "erased" in gone.err


def test_anothers_email_is_not_there(mail: CommandLine) -> None:
    for argv in (["show", "1"], ["why", "1"], ["events", "1"], ["raw", "1"]):
        assert mail("emails", *argv, "--tenant", "acme").status == 1
    refused = mail("emails", "cancel", "1", "--tenant", "acme", "--json")
    assert refused.status == 1 and refused.json["refused"][0]["code"] == "NOT_FOUND"
    assert json.loads(mail("emails", "list", "--tenant", "acme", "--json").out) == []
