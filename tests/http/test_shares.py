"""Clients that connect together end in different processes, and one that does not answer holds nobody up."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.relay import wait_for
from utils.gunicorn_worker import IMPATIENT_SECONDS
from utils.shares import Shares

ASK = b"GET /health HTTP/1.1\r\nHost: relay\r\n\r\n"


def connected(daemon: Daemon, stack: ExitStack, count: int) -> list[socket.socket]:
    return [
        stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=10))
        for _ in range(count)
    ]


def held(daemon: Daemon) -> list[int]:
    """Connections of each process."""
    return [
        sum(one.status == "ESTABLISHED" and one.laddr.port == daemon.port for one in worker.net_connections())
        for worker in daemon.workers()
    ]


@contextmanager
def two_processes(folder: Path) -> Iterator[tuple[Daemon, ExitStack]]:
    with Daemon(folder, web_concurrency=2) as daemon, ExitStack() as stack:
        both_accept(daemon, stack)
        yield daemon, stack


def both_accept(daemon: Daemon, stack: ExitStack) -> None:
    """The second process of a daemon that just started may need a moment."""
    wait_for(lambda: connected(daemon, stack, 1) and len(held(daemon)) == 2 and all(held(daemon)), 30)


def asked(clients: list[socket.socket]) -> float:
    """Seconds until each had its answer."""
    began = time.monotonic()
    for one in clients:
        one.sendall(ASK)
    for one in clients:
        assert one.recv(4096).startswith(b"HTTP/1.1 200")
    return time.monotonic() - began


def replace_one(daemon: Daemon) -> None:
    victim = daemon.workers()[0].pid
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: victim not in [one.pid for one in daemon.workers()] and len(daemon.workers()) == 2)


def test_connections_are_shared_out(tmp_path: Path) -> None:
    with two_processes(tmp_path) as (daemon, stack):
        before = sum(held(daemon))
        for round in range(1, 6):  # whoever wakes first must not take all that are there
            asked(connected(daemon, stack, 8))
            counts = held(daemon)
            assert sum(counts) == before + 8 * round
        assert abs(counts[0] - counts[1]) <= 4


def test_a_process_that_stands_still_holds_nobody_up(tmp_path: Path) -> None:
    with two_processes(tmp_path) as (daemon, stack):
        victim = daemon.workers()[0]
        victim.send_signal(signal.SIGSTOP)
        try:
            assert max(asked(connected(daemon, stack, 1)) for _ in range(20)) < 1
        finally:
            victim.send_signal(signal.SIGCONT)


def test_connections_that_end_meanwhile_do_not_make_the_next_one_wait(tmp_path: Path) -> None:
    """Only one that is taken shows that another process takes them."""
    with two_processes(tmp_path) as (daemon, stack):
        victim = daemon.workers()[0]
        victim.send_signal(signal.SIGSTOP)
        try:
            clients = connected(daemon, stack, 300)
            wait_for(lambda: max(held(daemon)) >= 300)
            time.sleep(IMPATIENT_SECONDS)  # those were taken without waiting for the other
            closing = threading.Thread(target=close_slowly, args=(clients,))
            closing.start()
            try:
                assert asked(connected(daemon, stack, 1)) < 0.5
            finally:
                closing.join()
        finally:
            victim.send_signal(signal.SIGCONT)


def close_slowly(clients: list[socket.socket]) -> None:
    for one in clients:
        one.close()
        time.sleep(0.005)


def test_a_replaced_process_gives_its_place_to_the_next(tmp_path: Path) -> None:
    with two_processes(tmp_path) as (daemon, stack):
        for _ in range(7):  # more often than there are places
            replace_one(daemon)
        both_accept(daemon, stack)
        before = held(daemon)
        asked(connected(daemon, stack, 20))
        counts = held(daemon)
        assert sum(counts) == sum(before) + 20
        assert abs(counts[0] - counts[1]) <= max(4, abs(before[0] - before[1]) - 10)


def test_places_are_few_and_free_ones_count_for_nothing() -> None:
    shares = Shares(2)
    assert shares.fewest() > 2**31
    assert [shares.take() for _ in range(3)] == [0, 1, None]
    assert shares.fewest() > 2**31  # nobody accepts yet
    shares.set(0, 7)
    assert shares.fewest() == 7
    shares.set(1, 0)
    assert shares.fewest() == 0
    shares.leave(1)
    assert shares.fewest() == 7
    assert shares.take() is None
    shares.free(1)
    assert shares.fewest() == 7
    assert shares.take() == 1
