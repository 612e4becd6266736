"""Clients that are slow, many or cut off, and a daemon that is told to stop in the midst of them."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.trial import Trial
from tests.support.chaos import Load
from tests.support.daemon import KEY, Daemon

FEW_FILES = ["sh", "-c", 'ulimit -Sn 1024; exec "$@"', "sh"]
BODY = json.dumps(
    {"subject": "Hello", "recipients": ["ann@example.com"], "text_content": "Hello" * 100}
).encode()
HEAD = (
    b"POST /api/emails HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\nX-API-Key: %s\r\n"
    b"Content-Length: %d\r\n\r\n"
) % (KEY.encode(), len(BODY))
HALVES = {
    "nothing": b"",
    "half of the head": HEAD[:70],
    "half of the body": HEAD + BODY[: len(BODY) // 2],
    "half of a chunked body": HEAD.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked")
    + b"5\r\nHel",
}


@contextmanager
def waiting_clients(daemon: Daemon, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=20))
            client.sendall(sent)
            clients.append(client)
        yield clients


LONG = ("nothing", "half of the head")  # the loop keeps them as it keeps the others


@pytest.mark.parametrize(
    "half", [pytest.param(one, marks=[pytest.mark.long] if one in LONG else []) for one in HALVES]
)
def test_a_thousand_half_requests_keep_nobody_from_an_answer(tmp_path: Path, tell: Any, half: str) -> None:
    with Trial(tmp_path, wrapper=FEW_FILES, web_threads=8) as trial:
        trial.daemon.start()
        trial.add_config()
        with waiting_clients(trial.daemon, 1000, HALVES[half]):
            slowest = 0.0
            for _ in range(20):
                began = time.monotonic()
                trial.client.post()
                slowest = max(slowest, time.monotonic() - began)
                trial.daemon.http.close()  # a new connection each time
            assert slowest < 3
            assert len(trial.client.accepted) == 20
        tell(trial.finish())


def test_half_requests_leave_room_where_few_files_may_be_open(tmp_path: Path, tell: Any) -> None:
    """With a hard limit below the number of clients, which nothing can raise."""
    with Trial(tmp_path, wrapper=["sh", "-c", 'ulimit -n 400; exec "$@"', "sh"]) as trial:
        trial.daemon.start()
        trial.add_config()
        workers = [one.pid for one in trial.daemon.workers()]
        with waiting_clients(trial.daemon, 600, HALVES["half of the head"]):
            trial.client.post(20)
            assert len(trial.client.accepted) == 20
        assert [one.pid for one in trial.daemon.workers()] == workers
        tell(trial.finish())


def test_idle_connections_make_room_too(tmp_path: Path) -> None:
    """Those that were served and are kept open, as by a careless pool of an app."""
    with Daemon(tmp_path, wrapper=["sh", "-c", 'ulimit -n 400; exec "$@"', "sh"]) as daemon:
        request = b"GET /health HTTP/1.1\r\nHost: relay\r\n\r\n"
        with ExitStack() as stack:
            for _ in range(300):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=5))
                client.sendall(request)
                assert client.recv(4096).startswith(b"HTTP/1.1 200")


def talk(daemon: Daemon, *parts: bytes, pause: float = 0.05) -> bytes:
    """What is answered to bytes that come in parts."""
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=5) as client:
        for part in parts:
            client.sendall(part)
            time.sleep(pause)
        answer = b""
        client.settimeout(1)
        try:
            while chunk := client.recv(65536):
                answer += chunk
        except TimeoutError:
            pass
        return answer


def test_clients_that_do_not_close_hold_up_nobody(tmp_path: Path) -> None:
    """Each has its answer, and stays."""
    request = b"GET /health HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n"
    with Daemon(tmp_path) as daemon, waiting_clients(daemon, 100, request) as clients:
        began = time.monotonic()
        assert all(client.recv(4096).startswith(b"HTTP/1.1 200") for client in clients)
        assert daemon.get("/health")
        assert time.monotonic() - began < 3


def test_requests_are_read_however_they_come(tmp_path: Path) -> None:
    expecting = HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    chunked = HEAD.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked")
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    large = BODY.replace(b"HelloHello", b"x" * 200_000, 1)
    large_head = HEAD.replace(b"Content-Length: %d" % len(BODY), b"Content-Length: %d" % len(large))
    with Daemon(tmp_path) as daemon:
        daemon.add_config(9)
        whole = HEAD + BODY
        assert b" 201 " in talk(daemon, *[whole[n : n + 1] for n in range(len(whole))], pause=0.0005)
        assert talk(daemon, whole + whole + HEAD, BODY).count(b" 201 ") == 3
        assert talk(daemon, expecting, BODY).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 ")
        assert talk(daemon, expecting + BODY).startswith(b"HTTP/1.1 201 ")
        assert b" 201 " in talk(daemon, chunked, chunks[:9], chunks[9:])
        assert b" 201 " in talk(daemon, large_head, large[:70_000], large[70_000:])
        assert b" 431 " in talk(daemon, b"GET /health HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n")
        assert b" 400 " in talk(daemon, b"nonsense\r\n\r\n")


def test_it_stops_in_time_though_clients_keep_it_waiting(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.start()
    with waiting_clients(daemon, 50, HALVES["half of the body"]):
        assert daemon.stop() < 10


def test_told_to_stop_while_200_requests_are_under_way(tmp_path: Path, tell: Any) -> None:
    with Trial(tmp_path) as trial:
        trial.sink.delay = 0.02
        trial.daemon.start()
        trial.add_config()
        with Load(trial.daemon.url, 200, {}) as load:
            while len(load.accepted) < 100:
                time.sleep(0.02)
            trial.daemon.stop()
        trial.daemon.start()
        tell(trial.finish(load.accepted))


def test_told_to_stop_twice(tmp_path: Path, tell: Any) -> None:
    with Trial(tmp_path) as trial:
        trial.sink.delay = 0.2
        trial.daemon.start()
        trial.add_config()
        trial.client.post_batch(60)
        trial.sink.wait_for_accepted(3)
        assert trial.daemon.process is not None
        trial.daemon.process.terminate()
        time.sleep(0.1)
        trial.daemon.process.terminate()
        trial.daemon.process.wait(45)
        assert trial.query("SELECT count(*) FROM emails WHERE state = 'sending'") == [(0,)]
        trial.sink.delay = 0
        trial.daemon.start()
        tell(trial.finish())


def test_of_two_daemons_started_on_one_folder_one_runs(tmp_path: Path, tell: Any) -> None:
    with Trial(tmp_path) as trial:
        trial.daemon.start()
        trial.add_config()
        trial.daemon.stop()
        twins = [Daemon(tmp_path), Daemon(tmp_path)]
        with ThreadPoolExecutor() as pool:
            started = list(pool.map(starts, twins))
        assert sorted(started) == [False, True]
        trial.daemon.process, trial.daemon.port, trial.daemon.url = survivor = next(
            (one.process, one.port, one.url) for one, is_up in zip(twins, started, strict=True) if is_up
        )
        trial.client.post(20)
        assert not starts(Daemon(tmp_path))
        assert survivor[0] is not None and survivor[0].poll() is None
        tell(trial.finish())


def starts(daemon: Daemon) -> bool:
    try:
        daemon.start()
    except AssertionError as refused:
        if "in use by another daemon" not in str(refused):
            raise
        return False
    return True
