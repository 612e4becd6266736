"""What a client without a key may send to `POST /api/emails`, which the event loop itself serves: nobody else waits."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.test_http import BODY, HEAD
from tests.support.daemon import KEY, Daemon

LINE = b"POST /api/emails HTTP/1.1\r\nHost: relay\r\n"
MANY_FIELDS = b"".join(b"X-%d: " % number + b"a" * 4000 + b"\r\n" for number in range(20))
CHUNKED = HEAD.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked")
CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("quick"), web_threads=4) as started:
        started.add_config(9)
        started.post("/api/queue/pause")
        yield started


def connected(daemon: Daemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.port), timeout=10)


def answer(client: socket.socket) -> bytes:
    """The status line of the next answer; empty when the connection was closed."""
    return client.recv(65_536).partition(b"\r\n")[0]


def seconds_of_others(daemon: Daemon) -> float:
    began = time.monotonic()
    with connected(daemon) as other:
        other.sendall(b"GET /health HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")
        assert answer(other) == b"HTTP/1.1 200 OK"
    return time.monotonic() - began


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 0000000000000000000005\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"Content-Length: 5 5\r\n\r\n",
        b"Content-Length: 99999999\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nHel",
    ],
)
def test_a_body_that_does_not_come_is_not_waited_for_by_the_loop(daemon: Daemon, head: bytes) -> None:
    clients = [connected(daemon) for _ in range(3)]
    for client in clients:
        client.sendall(LINE + head)
    time.sleep(0.2)
    assert seconds_of_others(daemon) < 2
    for client in clients:
        client.close()


@pytest.mark.parametrize("line", [LINE, b"GET /x HTTP/1.1\r\nHost: relay\r\n"])
def test_a_head_without_end_is_refused(daemon: Daemon, line: bytes) -> None:
    clients = [connected(daemon) for _ in range(8)]
    for client in clients:
        client.sendall(line + MANY_FIELDS)
    assert [answer(client) for client in clients] == [b"HTTP/1.1 431 Request Header Fields Too Large"] * 8
    assert seconds_of_others(daemon) < 2


def test_a_client_that_sends_one_request_after_another_leaves_others_their_turn(daemon: Daemon) -> None:
    over, answers = threading.Event(), [0]
    with connected(daemon) as client:

        def write() -> None:
            while not over.is_set():
                client.sendall((LINE + b"Content-Length: 0\r\n\r\n") * 100)

        def read() -> None:
            while chunk := client.recv(1 << 20):
                answers[0] += chunk.count(b"HTTP/1.1 401")

        threads = [threading.Thread(target=quietly(one), daemon=True) for one in (write, read)]
        for one in threads:
            one.start()
        time.sleep(0.5)
        times = [seconds_of_others(daemon) for _ in range(3)]
        over.set()
        client.shutdown(socket.SHUT_RDWR)
        for one in threads:
            one.join(5)
    assert max(times) < 2
    assert answers[0] > 100, "it did get its answers meanwhile"


def test_a_client_that_reads_no_answers_stops_nobody(daemon: Daemon) -> None:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", daemon.port))
    client.settimeout(0.5)
    with client:
        quietly(lambda: [client.sendall((LINE + b"Content-Length: 0\r\n\r\n") * 200) for _ in range(100)])()
        assert seconds_of_others(daemon) < 2


@pytest.mark.parametrize(
    "body",
    [
        CHUNK + b"0\r\n\r\n",
        CHUNK + b"0\r\nX-Trailer: yes\r\n\r\n",
        CHUNK + b"0;extension=1\r\n\r\n",
        CHUNK + b"0\r\n\r\n" + LINE + b"Content-Length: 0\r\n\r\n",
        b"3\r\n%s\r\n" % BODY[:3] + b"%x\r\n%s\r\n" % (len(BODY) - 3, BODY[3:]) + b"0\r\n\r\n",
    ],
)
def test_chunked_bodies_are_read_to_their_end(daemon: Daemon, body: bytes) -> None:
    with connected(daemon) as client:
        for part in (CHUNKED, body[:-4], body[-4:]):
            client.sendall(part)
            time.sleep(0.05)
        assert answer(client) == b"HTTP/1.1 201 CREATED"


def test_pipelined_requests_are_answered_in_order(daemon: Daemon) -> None:
    bad = (
        LINE
        + b"X-API-Key: "
        + KEY.encode()
        + b"\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    with connected(daemon) as client:
        client.sendall(
            HEAD + BODY + bad + b"GET /health HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n"
        )
        told = b""
        while chunk := client.recv(65_536):
            told += chunk
    assert re.findall(rb"HTTP/1\.1 (\d+) ", told) == [b"201", b"400", b"200"]


def quietly(work: Callable[[], object]) -> Callable[[], None]:
    """Until the connection ends."""

    def run() -> None:
        try:
            work()
        except OSError:
            return

    return run
