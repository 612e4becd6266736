from __future__ import annotations

import io
from pathlib import Path

import pytest

from models.database import write
from models.email import Attachment, Content, Email, Recipient
from models.smtp_config import Health, SmtpConfig
from services.routing import config_changed
from tests.cli.conftest import CommandLine

TO_ANN = ("send", "--to", "Ann <ann@example.com>", "--subject", "Hello", "--json")


@pytest.fixture
def run(run: CommandLine) -> CommandLine:
    """With a config that may send as anybody."""
    run("keys", "list")

    def job() -> None:
        config = SmtpConfig.create(
            tenant="", name="relay", email_address="relay@sender.test", smtp_host="127.0.0.1", smtp_port=1,
            allow_any_sender=True, created_at=1, updated_at=1,
        )  # fmt: skip
        Health.create(smtp_config_id=config.id)
        config_changed(config.id)

    write(job)
    return run


def test_an_email_is_queued_as_asked_for(run: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "zahlen.csv").write_bytes(b"1,2\n")
    (tmp_path / "raw.gz").write_bytes(b"\x1f\x8b")
    result = run(
        *TO_ANN, "--cc", "bob@example.com", "--text", "Hi", "--html", "<p>Hi</p>", "--priority", "1",
        "--from", "Shop <shop@sender.test>", "--attach", str(tmp_path / "zahlen.csv"),
        "--attach", str(tmp_path / "raw.gz"),
    )  # fmt: skip
    assert result.status == 0, result.err
    email = Email.get_by_id(result.json["email_id"])
    assert (email.state, email.subject, email.priority) == ("queued", "Hello", 1)
    assert (email.sender, email.sender_name) == ("shop@sender.test", "Shop")
    assert [(one.kind, one.address) for one in Recipient.select()] == [
        ("to", "ann@example.com"),
        ("cc", "bob@example.com"),
    ]
    assert (Content.get().text, Content.get().html) == ("Hi", "<p>Hi</p>")
    assert [(one.filename, one.content_type) for one in Attachment.select()] == [
        ("zahlen.csv", "text/csv"),
        ("raw.gz", "application/octet-stream"),
    ]


def test_a_body_may_come_from_standard_input(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("piped\n"))
    assert run(*TO_ANN, "--text", "-").status == 0
    assert Content.get().text == "piped\n"
    assert run(*TO_ANN, "--text", "-", "--html", "-").status == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--to", "nobody", "--text", "x"), "recipients.0"),
        (("--to", "ann@example.com"), "html_content"),
        (("--to", "ann@example.com", "--text", "x", "--config", "99"), "smtp_config_id"),
    ],
)
def test_what_is_wrong_is_named(run: CommandLine, options: tuple[str, ...], told: str) -> None:
    result = run("send", *options)
    assert result.status == 1 and told in result.err and len(result.err.splitlines()) == 1
    assert Email.select().count() == 0


def test_waiting_without_a_relay_fails_at_once_and_keeps_the_email(run: CommandLine) -> None:
    result = run(*TO_ANN, "--text", "x", "--wait")
    assert result.status == 1 and "no relay runs" in result.err
    assert Email.select().count() == 1


def test_email_tells_state_recipients_events_and_why(run: CommandLine) -> None:
    email_id = str(run(*TO_ANN, "--text", "x").json["email_id"])
    told = run("email", email_id, "--json").json
    assert told["status"] == "queued" and told["recipients"] == ["ann@example.com"]
    assert told["events"][0]["type"] == "accepted" and told["why"]
    text = run("email", email_id).out
    for word in ("queued", "Hello", "ann@example.com", "accepted"):
        assert word in text


def test_an_unknown_email_is_status_1(run: CommandLine) -> None:
    result = run("email", "77")
    assert result.status == 1 and result.err == "mailferry: no email 77 (see: python app.py emails list)\n"


def test_another_tenants_email_is_not_there(run: CommandLine) -> None:
    email_id = str(run(*TO_ANN, "--text", "x").json["email_id"])
    assert run("email", email_id, "--tenant", "acme").status == 1


def test_a_subject_cannot_drive_the_terminal(run: CommandLine) -> None:
    email_id = run(*TO_ANN, "--text", "x").json["email_id"]
    write(lambda: Email.update(subject="\x1b[2J[red]gone").where(Email.id == email_id).execute())
    out = run("email", str(email_id)).out
    assert "\x1b" not in out and "[red]gone" in out


def test_queue_tells_counts_configs_and_ages(run: CommandLine) -> None:
    for _ in range(3):
        run(*TO_ANN, "--text", "x")
    assert run("queue", "--json").json["counts"]["queued"] == 3
    text = run("queue").out
    assert "queued" in text and "relay" in text and "waiting, by age" in text
