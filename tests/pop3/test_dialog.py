"""The POP3 client against servers that keep to nothing: a reason for each failure, and an end to each wait."""

from __future__ import annotations

import random
import socket
import ssl
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from services.imap import Endpoint, ImapError, Limits, Reason
from services.pop3 import Client
from services.pop3 import client as client_module
from tests.imap.test_opening import endpoint, token_stub
from tests.support.ca import TestCA
from tests.support.dovecot import PASSWORD, Dovecot, shared
from tests.support.pop3 import CAPA, GREETING, Pop3, Said, listing, mailbox, pop3
from tests.support.syncing import letter

SHORT = Limits(connect=2.0, greeting=0.5, command=0.5, whole=1.5, answer=100_000)
SECRET = "planted-secret"
MEGABYTE = 1_000_000


def at(server: Pop3, **changes: object) -> Endpoint:
    told = Endpoint("127.0.0.1", server.port, "none", True, "ann", SECRET, allow_private=True)
    return replace(told, **changes)  # type: ignore[arg-type]


@contextmanager
def connected(answers: Mapping[str, Said], limits: Limits = SHORT) -> Iterator[Client]:
    with pop3(answers) as server, Client.open(at(server), limits) as client:
        yield client


def failure(act: Callable[[], object]) -> ImapError:
    with pytest.raises(ImapError) as caught:
        act()
    assert "planted" not in str(caught.value)
    return caught.value


def refusal(answers: Mapping[str, Said], **changes: object) -> ImapError:
    with pop3(answers) as server:
        return failure(lambda: Client.open(at(server, **changes), SHORT))


def trickle(sock: socket.socket) -> None:
    """Each byte comes in time; the line never does."""
    for _ in range(100):
        sock.sendall(b"+")
        time.sleep(0.05)


def flood(line: bytes) -> Callable[[socket.socket], None]:
    def talk(sock: socket.socket) -> None:
        sock.sendall(b"+OK\r\n")
        while True:
            sock.sendall(line * 1_000)

    return talk


def silence(sock: socket.socket) -> None:
    sock.recv(1)


# Getting in.


@pytest.mark.parametrize(
    "greeting",
    [b"* OK IMAP4rev1\r\n", b"220 mail.example ESMTP\r\n", b"\r\n", b"\xff\xfe\0\r\n", b"+O\r\n", b"OK\n"],
)
def test_a_server_of_another_protocol(greeting: bytes) -> None:
    assert refusal({"": greeting}).reason is Reason.PROTOCOL


@pytest.mark.parametrize("step", ["", "CAPA", "AUTH"])
def test_a_server_that_is_silent_or_trickles_is_given_up(step: str) -> None:
    for said in (silence, trickle):
        began = time.monotonic()
        assert refusal({step: said}).reason is Reason.TIMEOUT
        assert time.monotonic() - began < 3


def test_a_server_that_hangs_up() -> None:
    for step in ("", "CAPA", "AUTH"):
        assert refusal({step: lambda sock: sock.shutdown(socket.SHUT_RDWR)}).reason is Reason.CLOSED


def test_a_server_that_takes_nobody() -> None:
    error = refusal({"": b"-ERR [SYS/TEMP] too busy\r\n"})
    assert (error.reason, error.code) == (Reason.REJECTED, "SYS/TEMP")


def test_without_capa_login_is_by_user_and_pass() -> None:
    with pop3({"CAPA": b"-ERR\r\n"}) as server, Client.open(at(server), SHORT) as client:
        assert client.capabilities == ()
        assert [one for one in server.heard if one != "CAPA"] == ["USER ann", f"PASS {SECRET}"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"-ERR [AUTH] wrong password\r\n", Reason.AUTH),
        (b"-ERR\r\n", Reason.AUTH),
        (b"-ERR [IN-USE] the mailbox is locked\r\n", Reason.REJECTED),
        (b"-ERR [SYS/TEMP] later\r\n", Reason.REJECTED),
        (b"-ERR too many connections\r\n", Reason.REJECTED),
        (b"-ERR bad line: PASS planted-secret\r\n", Reason.AUTH),
        (b"hello planted-secret\r\n", Reason.PROTOCOL),
    ],
)
def test_a_refused_login_is_told_from_a_busy_server(answer: bytes, reason: Reason) -> None:
    for capa in (CAPA, b"-ERR\r\n"):
        assert refusal({"CAPA": capa, "PASS": answer, "AUTH": answer}).reason is reason


def test_a_server_that_asks_and_asks_gets_the_password_once() -> None:
    def ask(sock: socket.socket) -> None:
        while True:
            sock.sendall(b"+ more\r\n")
            asked.append(sock.recv(1_000))

    asked: list[bytes] = []
    assert refusal({"AUTH": ask}).reason is Reason.PROTOCOL
    assert len(asked) < 10
    assert {one for one in asked[1:] if one} == {b"\r\n"}


def test_what_a_server_says_is_fit_to_be_shown_and_stored() -> None:
    error = refusal({"AUTH": b"-ERR \0\x1b[31m" + b"x" * 10_000 + b"\r\n"})
    assert str(error).isprintable()
    assert len(str(error)) < 1_000


@pytest.mark.parametrize("word", ["two\r\nDELE 1", "nul\0"])
def test_no_password_can_end_the_command(word: str) -> None:
    with pop3({}) as server:
        assert failure(lambda: Client.open(at(server, password=word), SHORT)).reason is Reason.AUTH
        assert not any("DELE" in one for one in server.heard)


def test_a_list_of_capabilities_without_end() -> None:
    assert refusal({"CAPA": flood(b"X\r\n")}).reason is Reason.TOO_LARGE


def test_another_thread_can_end_the_wait() -> None:
    began = time.monotonic()
    with pop3({"AUTH": silence}) as server:

        def abort_soon(wire: object) -> None:
            Thread(target=lambda: (time.sleep(0.2), wire.abort())).start()  # type: ignore[attr-defined]

        error = failure(lambda: Client.open(at(server), on_wire=abort_soon))
    assert error.reason is Reason.CLOSED
    assert time.monotonic() - began < 5


# TLS.


def test_stls_that_is_refused_is_not_gone_without() -> None:
    with pop3({"STLS": b"-ERR no\r\n"}) as server:
        assert failure(lambda: Client.open(at(server, encryption="starttls"), SHORT)).reason is Reason.TLS
        assert server.heard == ["CAPA", "STLS"]


def test_what_comes_before_the_handshake_is_not_read_after_it(tmp_path: Path) -> None:
    """In one packet with the reply, and in one of its own."""
    injected = b"+OK\r\nINJECTED\r\n.\r\n"
    at_once = b"+OK begin\r\n" + injected

    def a_little_later(sock: socket.socket) -> None:
        sock.sendall(b"+OK begin\r\n")
        time.sleep(0.1)
        sock.sendall(injected)

    for said in (at_once, a_little_later):
        assert refusal({"STLS": said}, encryption="starttls").reason is Reason.TLS


def test_what_was_offered_before_tls_is_forgotten(tmp_path: Path) -> None:
    ca = TestCA(tmp_path)
    context = ca.server("127.0.0.1")
    inside = Pop3({"": b"", "CAPA": b"+OK\r\nUSER\r\n.\r\n"})

    def secured(sock: socket.socket) -> None:
        sock.sendall(b"+OK begin\r\n")
        with context.wrap_socket(sock, server_side=True) as tls:
            inside.talk(tls)

    with pop3({"STLS": secured, "CAPA": b"+OK\r\nSASL PLAIN\r\n.\r\n"}) as server:
        where = at(server, encryption="starttls", ca_file=ca.file)
        with Client.open(where, SHORT) as client:
            assert client.tls_info is not None
    assert server.heard == ["CAPA", "STLS"]
    assert inside.heard[:3] == ["CAPA", "USER ann", f"PASS {SECRET}"]


@pytest.mark.parametrize("encryption", ["tls", "starttls", "none"])
def test_dovecot_is_talked_to_over_tls_stls_and_in_the_clear(encryption: str) -> None:
    server = shared()
    port = server.pop3s if encryption == "tls" else server.pop3
    steps: list[str] = []
    where = endpoint(server, port=port, encryption=encryption)
    with Client.open(where, on_step=lambda step, _: steps.append(step)) as client:
        assert (client.tls_info is not None) == (encryption != "none")
        assert client.has("UIDL") and client.has("TOP")
    expected = {"tls": ["tls", "banner"], "starttls": ["banner", "tls"], "none": ["banner"]}[encryption]
    assert steps == ["dns", "connect", *expected, "auth"]


def test_a_certificate_of_an_unknown_authority() -> None:
    where = endpoint(shared(), port=shared().pop3s, ca_file=None)
    assert failure(lambda: Client.open(where)).reason is Reason.TLS


def test_xoauth2_asks_the_token_s_issuer() -> None:
    with token_stub("good-token") as url:
        server = Dovecot(tokeninfo_url=url)
        try:
            told = {"port": server.pop3s, "username": "ann@example.test", "password": None}
            with Client.open(endpoint(server, **told, token="good-token")) as client:
                assert client.count() == (0, 0)
            bad = endpoint(server, **told, token="planted-token")
            assert failure(lambda: Client.open(bad)).reason is Reason.AUTH
        finally:
            server.destroy()


def test_xoauth2_that_is_not_offered_sends_no_token() -> None:
    with pop3({}) as server:
        error = failure(lambda: Client.open(at(server, token="planted-token"), SHORT))
        assert error.reason is Reason.UNSUPPORTED
        assert server.heard == ["CAPA"]


# What a mailbox holds.


def test_a_server_without_uidl() -> None:
    with connected({}) as client:
        assert failure(client.uids).reason is Reason.UNSUPPORTED
        assert client.is_open


def test_a_server_without_top() -> None:
    with connected({"CAPA": b"+OK\r\nUIDL\r\n.\r\n"}) as client:
        assert failure(lambda: client.head(1)).reason is Reason.UNSUPPORTED
    with connected({"CAPA": b"-ERR\r\n", "TOP": b"-ERR\r\n"}) as client:
        assert failure(lambda: client.head(1)).reason is Reason.REJECTED


@pytest.mark.parametrize(
    "line", [b"", b"x", b"1", b"1 ", b"-1 2", b"1 x", b"1 -2", b"1 " + b"9" * 5_000, b"9" * 5_000 + b" 1"]
)
def test_a_list_that_cannot_be_read(line: bytes) -> None:
    with connected({"LIST": b"+OK\r\n" + line + b"\r\n.\r\n"}) as client:
        assert failure(client.sizes).reason is Reason.PROTOCOL
        assert not client.is_open


def test_uids_of_any_bytes_stay_different() -> None:
    with connected({"UIDL": b"+OK\r\n1 \xe4\r\n2 \xf6\r\n.\r\n"}) as client:
        assert len(set(client.uids().values())) == 2
    with connected({"UIDL": b"+OK\r\n1 a\0b\r\n.\r\n"}) as client:
        assert failure(client.uids).reason is Reason.PROTOCOL


def test_a_long_list_is_read_and_an_endless_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    many = {number: f"uid-{number:030}" for number in range(1, 100_001)}
    with connected({"UIDL": listing(many)}, Limits()) as client:
        assert client.uids() == many
    monkeypatch.setattr(client_module, "MOST_MESSAGES", 5_000)
    with connected({"LIST": flood(b"1 1\r\n")}, Limits()) as client:
        assert failure(client.sizes).reason is Reason.TOO_LARGE


# Messages.


def content(raw: bytes, pieces: list[int] | None = None) -> bytes:
    """What the client makes of it; sent in pieces that end there."""

    def talk(sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        last = 0
        for end in [*(pieces or []), len(raw)]:
            sock.sendall(raw[last:end])
            last = end
            time.sleep(0.002)

    with connected({"RETR": talk, "STAT": b"+OK 3 4\r\n"}, replace(SHORT, answer=10 * MEGABYTE)) as client:
        found = b"".join(client.message(1))
        assert client.count() == (3, 4)  # and the next answer is the next
        return found


@pytest.mark.parametrize("cut", range(5, 40))
def test_dots_are_taken_out_wherever_the_answer_is_cut(cut: int) -> None:
    raw = b"+OK\r\n..a\r\n...\r\n..\r\n\r\nb.\r\n..c\r\n.\r\n"
    assert content(raw, [cut]) == b".a\r\n..\r\n.\r\n\r\nb.\r\n.c\r\n"


def test_dots_byte_by_byte() -> None:
    raw = b"+OK\r\n..\r\nx\r\n\r\n.\r\n"
    assert content(raw, list(range(1, len(raw)))) == b".\r\nx\r\n\r\n"
    assert content(b"+OK\r\n.\r\n") == b""


def test_a_dot_between_lone_line_feeds_does_not_end_a_message() -> None:
    """Else whoever sends a mail could write the server's next answers."""
    assert content(b"+OK\r\na\n.\n+OK 9 9\n\n.\r\nb\r\n.\r\n") == b"a\n.\n+OK 9 9\n\n.\r\nb\r\n"


def test_a_server_whose_lines_end_in_lf_alone() -> None:
    assert content(b"+OK\na\n..b\n.\n") == b"a\n.b\n"


def test_a_line_without_end_is_no_reason_to_give_up() -> None:
    line = b"x" * 9 * MEGABYTE
    assert content(b"+OK\r\n" + line + b"\r\n.\r\n") == line + b"\r\n"


def test_random_messages_come_as_they_were_sent() -> None:
    chance = random.Random(1)
    for _ in range(40):
        raw = (
            b"".join(chance.choice([b".", b"\r", b"\n", b"\r\n", b"a", b"\r\n."]) for _ in range(60))
            + b"\r\n"
        )
        stuffed = b"".join(
            b"." + line if line.startswith(b".") else line
            for line in raw.replace(b"\r\n", b"\r\n\0").split(b"\0")
        )
        cuts = sorted(chance.sample(range(5, 5 + len(stuffed)), 4))
        assert content(b"+OK\r\n" + stuffed + b".\r\n", cuts) == raw


def test_a_large_message_passes_through_little_memory() -> None:
    block = (b"x" * 76 + b"\r\n") * 1_000

    def talk(sock: socket.socket) -> None:
        sock.sendall(b"+OK\r\n")
        for _ in range(400):
            sock.sendall(block)
        sock.sendall(b".\r\n")

    with connected({"RETR": talk}) as client:
        client.protocol.wire._limits = Limits()
        tracemalloc.start()
        size = sum(map(len, client.message(1)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert size == 400 * len(block)
    assert peak < 2 * MEGABYTE


def test_a_message_without_end_ends() -> None:
    for line in (b"x\r\n", b"x"):
        with connected({"RETR": flood(line)}) as client:
            assert failure(lambda client=client: list(client.message(1))).reason is Reason.TOO_LARGE  # type: ignore[misc]


def test_a_message_that_stops_is_given_up() -> None:
    def talk(sock: socket.socket) -> None:
        sock.sendall(b"+OK\r\nhalf of")
        silence(sock)

    with connected({"RETR": talk}) as client:
        assert failure(lambda: list(client.message(1))).reason is Reason.TIMEOUT


def test_a_slow_reader_is_not_the_server_s_fault() -> None:
    def talk(sock: socket.socket) -> None:
        sock.sendall(b"+OK\r\n" + b"x" * 60_000)
        time.sleep(0.3)
        sock.sendall(b"\r\n.\r\n")

    with connected({"RETR": talk}, replace(SHORT, whole=5.0)) as client:
        blocks = client.message(1)
        size = len(next(blocks))
        time.sleep(0.6)
        assert size + sum(map(len, blocks)) == 60_002


def test_a_command_that_would_be_two_is_not_sent() -> None:
    with connected({}) as client:
        assert failure(lambda: client.protocol.run("RETR 1\r\nDELE 1")).reason is Reason.REJECTED
        assert client.is_open


def test_dovecot_s_messages_come_byte_for_byte() -> None:
    server = shared()
    where = endpoint(server, port=server.pop3, encryption="none")
    raw = letter(1, body=".\r\n..\r\n.x\r\n" + "long " * 100_000 + "\r\n.")
    server.deliver(where.username, raw)
    with Client.open(where) as client:
        assert client.number_of(client.uids()[1]) == 1
        assert client.number_of("nobody's") is None
        came = b"".join(client.message(1))
        assert came.endswith(raw)
        assert client.sizes() == {1: len(came)}
        head = b"".join(client.head(1, 2))
        assert head.endswith(b"\r\n\r\n.\r\n..\r\n")
        assert failure(lambda: client.message(2)).reason is Reason.REJECTED
        assert PASSWORD not in str(client.capabilities)


def test_the_context_of_these_tests_verifies() -> None:
    assert shared().tls().verify_mode is ssl.CERT_REQUIRED
    assert mailbox({"a": b"x\r\n.\r\n"})["UIDL"] == b"+OK\r\n1 a\r\n.\r\n"
    assert GREETING.startswith(b"+OK")
