from __future__ import annotations

import smtplib
import socket
import statistics
import time
from dataclasses import replace
from pathlib import Path

import pytest

from services import sandbox
from services.relay import Policy
from workers.sandbox_server import PortTakenError, SandboxServer

MAIL = b"From: ann@example.com\r\nTo: bob@example.com\r\nSubject: hello\r\n\r\nHi Bob\r\n..dots\r\n"


def test_it_keeps_what_is_sent(server: SandboxServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail("ann@example.com", ["bob@example.com", "hidden@example.com"], MAIL)
    (kept,) = sandbox.messages(10)
    assert kept["envelope"] == {
        "mail_from": "ann@example.com",
        "rcpt_tos": ["bob@example.com", "hidden@example.com"],
    }
    assert kept["subject"] == "hello"
    assert sandbox.raw(kept["id"]) == MAIL


def test_it_takes_international_addresses(server: SandboxServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo()
        client.sendmail(
            "ann@example.com", ["jürgen@bücher.example"], MAIL, mail_options=["SMTPUTF8", "BODY=8BITMIME"]
        )
    assert sandbox.messages(1)[0]["envelope"]["rcpt_tos"] == ["jürgen@bücher.example"]


def test_it_refuses_a_message_above_the_limit(server: SandboxServer, policy: Policy) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client, pytest.raises(smtplib.SMTPException):
        client.sendmail("a@b.example", ["c@d.example"], b"x" * 70 + b"\r\n" + (b"x" * 70 + b"\r\n") * 20_000)
    assert sandbox.messages(1) == []


def test_it_answers_fast_enough_not_to_count(server: SandboxServer) -> None:
    took = []
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        for _ in range(100):
            begun = time.perf_counter()
            client.sendmail("ann@example.com", ["bob@example.com"], MAIL)
            took.append(time.perf_counter() - begun)
    # About 1 ms; the margin is for machines under load and for coverage.
    assert statistics.median(took) < 0.010


def test_stopping_closes_the_port_and_the_connections(server: SandboxServer) -> None:
    client = smtplib.SMTP("127.0.0.1", server.port)
    server.stop()
    with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
        client.noop()
    client.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=2)


def test_stopping_right_after_the_start_works(policy: Policy) -> None:
    for _ in range(20):
        server = SandboxServer(policy, port=0)
        server.start()
        server.stop()


def test_processes_of_one_daemon_share_the_port(server: SandboxServer, policy: Policy) -> None:
    sibling = SandboxServer(policy, port=server.port)
    sibling.start()
    server.stop()
    try:
        with smtplib.SMTP("127.0.0.1", sibling.port) as client:
            client.sendmail("ann@example.com", ["bob@example.com"], MAIL)
    finally:
        sibling.stop()
    assert len(sandbox.messages(10)) == 1


def test_another_daemon_may_not_share_it(server: SandboxServer, policy: Policy) -> None:
    other = SandboxServer(replace(policy, data_dir=Path("/somewhere/else")), port=server.port)
    with pytest.raises(PortTakenError, match=f"SANDBOX_SMTP_PORT: port {server.port} .* another program"):
        other.start()


def test_a_port_taken_by_another_program_names_the_setting(policy: Policy) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(PortTakenError, match="SANDBOX_SMTP_PORT"),
    ):
        SandboxServer(policy, port=taken.getsockname()[1]).start()


def test_the_port_can_be_checked_before_any_process_starts(server: SandboxServer, policy: Policy) -> None:
    SandboxServer(policy, port=server.port).check()  # its own siblings are no strangers
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortTakenError):
        SandboxServer(policy, port=taken.getsockname()[1]).check()
