from __future__ import annotations

import io

import pytest

from tests.cli.conftest import CommandLine
from tests.support.sink import Sink

ADD = ("configs", "add", "--name", "relay", "--email", "relay@sender.test", "--json")


def test_a_preset_fills_in_the_server(run: CommandLine) -> None:
    added = run(*ADD, "--provider", "gmail")
    assert added.status == 0, added.err
    (config,) = run("configs", "list", "--json").json
    assert (config["smtp_host"], config["smtp_port"], config["use_tls"]) == ("smtp.gmail.com", 587, True)
    assert config["daily_limit"] == 500
    assert "0 of 500" in run("configs", "list").out


def test_flags_that_are_left_out_change_nothing(run: CommandLine) -> None:
    run(*ADD, "--host", "mx.example.com")
    (config,) = run("configs", "list", "--json").json
    assert config["verify_tls"] is True and config["shared"] is False and config["from_domains"] == []


def test_a_wrong_field_is_named(run: CommandLine) -> None:
    result = run("configs", "add", "--name", "x", "--email", "nobody", "--host", "mx.example.com")
    assert result.status == 1 and "email_address" in result.err


def test_testing_tells_each_step(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sink(auth=("user", "planted-password")) as sink:
        monkeypatch.setattr("sys.stdin", io.StringIO("planted-password\n"))
        server = ("--host", "127.0.0.1", "--port", str(sink.port), "--tls", "none")
        added = run(*ADD, *server, "--username", "user", "--password-stdin").json
        result = run("configs", "test", str(added["config_id"]), "--json")
        assert result.status == 0
        assert [one["step"] for one in result.json["steps"]][-1] == "auth"
        sent = run("configs", "test", str(added["config_id"]), "--send-to", "me@example.com")
        assert sent.status == 0 and "planted-password" not in sent.out + sent.err
        assert sink.messages[0].rcpt_tos == ["me@example.com"]


def test_a_failed_step_is_status_1(run: CommandLine) -> None:
    added = run(*ADD, "--host", "127.0.0.1", "--port", "1", "--tls", "none").json
    result = run("configs", "test", str(added["config_id"]))
    assert result.status == 1
    assert "connect" in result.out and "fail" in result.out


def test_testing_what_is_not_there_is_status_1(run: CommandLine) -> None:
    result = run("configs", "test", "77")
    assert (
        result.status == 1
        and result.err == "mailferry: no SMTP config 77 (see: python app.py configs list)\n"
    )
