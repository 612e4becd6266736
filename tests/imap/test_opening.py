"""Getting in: addresses, TLS, login, and a reason for each way to fail."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlparse

import pytest

from services.imap import Client, Endpoint, ImapError, Limits, Reason
from tests.support.ca import TestCA
from tests.support.dovecot import PASSWORD, PROFILES, Dovecot, shared
from tests.support.tcp import served

SHORT = Limits(connect=2.0, greeting=0.5, command=0.5, whole=1.5, answer=100_000)


def endpoint(server: Dovecot, **changes: object) -> Endpoint:
    told: dict[str, object] = {
        "host": "localhost", "port": server.imaps, "encryption": "tls", "verify_tls": True,
        "username": server.user(), "password": PASSWORD, "allow_private": True, "ca_file": server.ca_file,
    }  # fmt: skip
    return Endpoint(**(told | changes))  # type: ignore[arg-type]


def scripted(port: int, **changes: object) -> Endpoint:
    told: dict[str, object] = {
        "host": "127.0.0.1", "port": port, "encryption": "none", "verify_tls": True,
        "username": "ann", "password": "planted-secret", "allow_private": True,
    }  # fmt: skip
    return Endpoint(**(told | changes))  # type: ignore[arg-type]


def refusal(where: Endpoint, limits: Limits | None = None) -> ImapError:
    with pytest.raises(ImapError) as caught:
        Client.open(where, limits)
    assert "planted" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("profile", PROFILES)
def test_it_logs_in_over_tls_starttls_and_in_the_clear(profile: str) -> None:
    server = shared(profile)
    steps: list[str] = []
    with Client.open(endpoint(server), on_step=lambda step, _: steps.append(step)) as client:
        assert client.tls_info is not None
        assert client.tls_info.version.startswith("TLS")
    assert steps == ["dns", "connect", "tls", "banner", "auth"]
    steps.clear()
    starttls = endpoint(server, port=server.imap, encryption="starttls")
    with Client.open(starttls, on_step=lambda step, _: steps.append(step)) as client:
        assert client.tls_info is not None
    assert steps == ["dns", "connect", "banner", "tls", "auth"]
    with Client.open(endpoint(server, port=server.imap, encryption="none")) as client:
        assert client.tls_info is None
        assert client.has("IMAP4REV1")
    assert not client.is_open


def test_capabilities_are_those_after_login() -> None:
    server = shared()
    with Client.open(endpoint(server)) as client:
        assert client.has("CONDSTORE", "QRESYNC", "MOVE", "UIDPLUS", "LIST-STATUS")
        assert not client.has("AUTH=PLAIN")


@pytest.mark.parametrize("word", ["wrong", "", 'quo"te\\', "pass wörd"])
def test_a_wrong_password_is_told_as_such(word: str) -> None:
    error = refusal(endpoint(shared(), password=word))
    assert error.reason is Reason.AUTH


@pytest.mark.parametrize("word", ["two\r\nA LOGOUT", "nul\0"])
def test_no_password_can_end_the_command(word: str) -> None:
    assert refusal(endpoint(shared(), password=word)).reason is Reason.AUTH


def test_a_host_without_an_address() -> None:
    error = refusal(scripted(143, host="nowhere.invalid"))
    assert error.reason is Reason.DNS
    assert "nowhere.invalid" in error.detail


def test_a_port_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    assert refusal(scripted(port)).reason is Reason.REFUSED


def test_a_private_address_is_not_dialled() -> None:
    assert refusal(endpoint(shared(), allow_private=False)).reason is Reason.PRIVATE_ADDRESS


def test_a_certificate_of_an_unknown_authority() -> None:
    error = refusal(endpoint(shared(), ca_file=None))
    assert error.reason is Reason.TLS
    assert "certificate" in error.detail
    with Client.open(endpoint(shared(), ca_file=None, verify_tls=False)) as client:
        assert client.is_open


def test_a_certificate_of_another_name(tmp_path: Path) -> None:
    ca = TestCA(tmp_path)
    context = ca.server("other.example")

    def talk(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as secured:
            secured.sendall(b"* OK hello\r\n")

    with served(talk) as port:
        assert refusal(scripted(port, encryption="tls", ca_file=ca.file)).reason is Reason.TLS


def test_tls_against_a_server_that_speaks_without() -> None:
    error = refusal(endpoint(shared(), port=shared().imap))
    assert error.reason is Reason.TLS
    assert "starttls" in error.detail


def test_starttls_that_is_not_offered_is_not_gone_without() -> None:
    def talk(sock: socket.socket) -> None:
        sock.sendall(b"* OK [CAPABILITY IMAP4rev1] hi\r\n")
        answer(sock, b"* CAPABILITY IMAP4rev1\r\n")
        assert b"LOGIN" not in sock.recv(1000)

    with served(talk) as port:
        assert refusal(scripted(port, encryption="starttls")).reason is Reason.TLS


def test_a_server_that_knows_us_before_tls_is_not_trusted() -> None:
    def talk(sock: socket.socket) -> None:
        sock.sendall(b"* PREAUTH welcome\r\n")
        answer(sock, b"* CAPABILITY IMAP4rev1 STARTTLS\r\n")
        sock.recv(1000)

    with served(talk) as port:
        assert refusal(scripted(port, encryption="starttls")).reason is Reason.TLS


def test_what_comes_before_the_handshake_is_not_read_after_it() -> None:
    def talk(sock: socket.socket) -> None:
        sock.sendall(b"* OK hi\r\n")
        answer(sock, b"* CAPABILITY IMAP4rev1 STARTTLS\r\n")
        tag = sock.recv(1000).split(b" ")[0]
        sock.sendall(tag + b" OK begin\r\n* CAPABILITY IMAP4rev1 INJECTED\r\n")
        sock.recv(1000)

    with served(talk) as port:
        assert refusal(scripted(port, encryption="starttls"), SHORT).reason is Reason.TLS


def test_a_server_that_says_nothing() -> None:
    with served(lambda sock: time.sleep(3)) as port:
        began = time.monotonic()
        assert refusal(scripted(port), SHORT).reason is Reason.TIMEOUT
        assert time.monotonic() - began < 2


def test_a_server_that_trickles() -> None:
    """Each byte comes in time; the line never does."""

    def talk(sock: socket.socket) -> None:
        for _ in range(100):
            sock.sendall(b"*")
            time.sleep(0.05)

    with served(talk) as port:
        began = time.monotonic()
        assert refusal(scripted(port), SHORT).reason is Reason.TIMEOUT
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "greeting",
    [
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\r\n\r\n",
        b"\xff\xfe\r\n",
        b"* OK\n",
    ],
)
def test_a_server_of_another_protocol(greeting: bytes) -> None:
    def talk(sock: socket.socket) -> None:
        sock.sendall(greeting)
        sock.recv(1000)

    with served(talk) as port:
        assert refusal(scripted(port), SHORT).reason in (Reason.PROTOCOL, Reason.CLOSED)


def test_a_server_that_is_busy_is_not_taken_for_a_wrong_password() -> None:
    for text in (b"NO [UNAVAILABLE] try later", b"NO [ALERT] Too many simultaneous connections. (Failure)"):

        def talk(sock: socket.socket, text: bytes = text) -> None:
            sock.sendall(b"* OK hi\r\n")
            answer(sock, b"* CAPABILITY IMAP4rev1\r\n")
            answer(sock, b"* CAPABILITY IMAP4rev1\r\n")
            sock.sendall(sock.recv(1000).split(b" ")[0] + b" " + text + b"\r\n")

        with served(talk) as port:
            assert refusal(scripted(port), SHORT).reason is Reason.REJECTED


def test_what_a_server_says_of_our_password_is_not_told_on() -> None:
    def talk(sock: socket.socket) -> None:
        sock.sendall(b"* OK hi\r\n")
        answer(sock, b"* CAPABILITY IMAP4rev1\r\n")
        answer(sock, b"* CAPABILITY IMAP4rev1\r\n")
        line = sock.recv(1000)
        assert b'"planted-secret"' in line
        sock.sendall(line.split(b" ")[0] + b" NO bad line: " + line)

    with served(talk) as port:
        error = refusal(scripted(port), SHORT)
    assert error.reason is Reason.AUTH
    assert "***" in error.detail


def test_a_flood_ends(caplog: pytest.LogCaptureFixture) -> None:
    def talk(sock: socket.socket) -> None:
        sock.sendall(b"* OK hi\r\n")
        sock.recv(1000)
        while True:
            sock.sendall(b"* LIST () NIL x\r\n" * 1000)

    caplog.set_level(logging.DEBUG)
    with served(talk) as port:
        assert refusal(scripted(port), SHORT).reason is Reason.TOO_LARGE
    assert "planted" not in caplog.text


def test_a_literal_of_a_gigabyte_is_not_waited_for() -> None:
    def talk(sock: socket.socket) -> None:
        sock.sendall(b"* OK hi\r\n")
        sock.recv(1000)
        sock.sendall(b"* LIST () NIL {1000000000}\r\n")
        sock.recv(1000)

    with served(talk) as port:
        assert refusal(scripted(port), SHORT).reason is Reason.TOO_LARGE


def test_another_thread_can_end_the_wait() -> None:
    with Client.open(endpoint(shared())) as client:
        client.protocol.run("SELECT", "INBOX")
        client.protocol.state = "SELECTED"
        Thread(target=lambda: (time.sleep(0.2), client.abort())).start()
        began = time.monotonic()
        with pytest.raises(ImapError) as caught:
            client.wait_for_news(10)
        assert caught.value.reason is Reason.CLOSED
        assert time.monotonic() - began < 5


def test_xoauth2_asks_the_token_s_issuer() -> None:
    with token_stub("good-token") as url:
        server = Dovecot(tokeninfo_url=url)
        try:
            good = endpoint(server, username="ann@example.test", token="good-token", password=None)
            with Client.open(good) as client:
                assert client.is_open
            bad = endpoint(server, username="ann@example.test", token="planted-token", password=None)
            assert refusal(bad).reason is Reason.AUTH
        finally:
            server.destroy()


def test_xoauth2_that_is_not_offered() -> None:
    def talk(sock: socket.socket) -> None:
        sock.sendall(b"* OK hi\r\n")
        answer(sock, b"* CAPABILITY IMAP4rev1\r\n")
        answer(sock, b"* CAPABILITY IMAP4rev1\r\n")

    with served(talk) as port:
        assert refusal(scripted(port, token="planted-token"), SHORT).reason is Reason.UNSUPPORTED


def answer(sock: socket.socket, untagged: bytes) -> None:
    tag = sock.recv(1000).split(b" ")[0]
    sock.sendall(untagged + tag + b" OK done\r\n")


@contextmanager
def token_stub(good: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = parse_qs(urlparse(self.path).query).get("access_token", [""])[0]
            body = {"email": "ann@example.test"} if token == good else {"error": "invalid_token"}
            self.send_response(200 if token == good else 401)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tokeninfo?access_token="
    finally:
        server.shutdown()
        server.server_close()


def test_the_context_of_the_tests_verifies() -> None:
    assert shared().tls().verify_mode is ssl.CERT_REQUIRED
