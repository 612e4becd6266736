"""Dialogs of one thread: each waits in its own way, and none holds up another."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from utils import hub
from utils.clock import monotonic
from utils.hub import IN, OUT, Hub


@pytest.fixture
def here() -> Iterator[Hub]:
    made = Hub()
    yield made
    made.close()


def turn_until(here: Hub, condition: Callable[[], object], seconds: float = 5.0) -> None:
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, "the dialogs did not get there"
        here.turn(0.2)


def test_a_dialog_waits_for_its_descriptor_while_others_go_on(here: Hub) -> None:
    ours, theirs = socket.socketpair()
    told: list[object] = []

    def reader() -> None:
        told.append(here.wait(ours.fileno(), IN, monotonic() + 5) & IN)
        told.append(ours.recv(10))

    here.spawn(reader)
    here.spawn(lambda: told.append("other"))
    here.turn(0)
    assert told == ["other"]
    theirs.send(b"hello")
    turn_until(here, lambda: len(told) == 3)
    assert told[1:] == [IN, b"hello"]
    ours.close()
    theirs.close()


def test_a_deadline_that_passes_brings_no_event(here: Hub) -> None:
    ours, theirs = socket.socketpair()
    told: list[float] = []
    began = monotonic()
    here.spawn(lambda: told.append(here.wait(ours.fileno(), IN, monotonic() + 0.1)))
    turn_until(here, lambda: told)
    assert told == [0]
    assert 0.1 <= monotonic() - began < 1.0
    ours.close()
    theirs.close()


def test_a_descriptor_can_be_waited_for_again_and_for_something_else(here: Hub) -> None:
    ours, theirs = socket.socketpair()
    told: list[int] = []

    def dialog() -> None:
        told.append(here.wait(ours.fileno(), OUT, monotonic() + 5) & OUT)
        told.append(here.wait(ours.fileno(), OUT, monotonic() + 5) & OUT)
        told.append(here.wait(ours.fileno(), IN, monotonic() + 0.05))

    here.spawn(dialog)
    turn_until(here, lambda: len(told) == 3)
    assert told == [OUT, OUT, 0]
    ours.close()
    theirs.close()


def test_what_is_gathered_is_done_once_for_all(here: Hub) -> None:
    calls: list[list[int]] = []
    results: list[int] = []

    def double(items: list[int]) -> list[int]:
        calls.append(items)
        return [item * 2 for item in items]

    for number in range(3):
        here.spawn(lambda number=number: results.append(here.gather(double, number)))  # type: ignore[misc]
    turn_until(here, lambda: len(results) == 3)
    assert calls == [[0, 1, 2]]
    assert results == [0, 2, 4]


def test_gathered_work_is_not_put_off_for_ever_by_a_dialog_that_is_always_ready(here: Hub) -> None:
    ours, theirs = socket.socketpair()
    done: list[bool] = []

    def restless() -> None:
        while not done:
            here.wait(ours.fileno(), OUT, monotonic() + 5)

    here.spawn(restless)
    here.spawn(lambda: done.append(here.gather(lambda items: [True] * len(items), None)))
    turn_until(here, lambda: done)
    here.turn(0)
    ours.close()
    theirs.close()


def test_what_blocks_runs_in_a_thread_and_its_error_comes_back(here: Hub) -> None:
    told: list[object] = []
    main = threading.current_thread()

    def dialog() -> None:
        told.append(here.in_thread(threading.current_thread) is not main)
        try:
            here.in_thread(lambda: os.stat("/nowhere/at/all"))
        except FileNotFoundError:
            told.append("not found")

    here.spawn(dialog)
    turn_until(here, lambda: len(told) == 2)
    assert told == [True, "not found"]


def test_sleepers_wake_in_the_order_of_their_times(here: Hub) -> None:
    told: list[str] = []

    def sleeper(name: str, seconds: float) -> None:
        here.sleep(seconds)
        told.append(name)

    here.spawn(lambda: sleeper("late", 0.15))
    here.spawn(lambda: sleeper("soon", 0.05))
    turn_until(here, lambda: len(told) == 2)
    assert told == ["soon", "late"]


def test_a_wake_up_ends_the_wait_at_once_whenever_it_comes(here: Hub) -> None:
    here.wake()
    began = time.monotonic()
    here.turn(5)
    assert time.monotonic() - began < 1, "one that came before the wait"
    threading.Timer(0.05, here.wake).start()
    began = time.monotonic()
    here.turn(5)
    assert 0.03 < time.monotonic() - began < 2, "one that came during it"


def test_an_error_in_a_dialog_is_logged_and_stops_no_other(
    here: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def broken() -> None:
        raise ValueError("broken")

    here.spawn(broken)
    here.spawn(lambda: told.append("fine"))
    here.turn(0)
    assert told == ["fine"]
    assert "action=dialog_trouble" in caplog.text


def test_only_a_dialog_is_in_a_hub(here: Hub) -> None:
    found: list[object] = []
    here.spawn(lambda: found.append(hub.current()))
    assert hub.current() is None
    here.turn(0)
    assert found == [here]
    elsewhere: list[object] = []
    thread = threading.Thread(target=lambda: elsewhere.append(hub.current()))
    thread.start()
    thread.join()
    assert elsewhere == [None]
