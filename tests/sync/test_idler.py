"""Connections that wait for news, watched by one thread."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from services.imap import Client, ImapError
from services.sync.perform import begin_idle
from tests.imap.test_opening import endpoint
from tests.support.cut import Wire
from tests.support.dovecot import FULL, HOST, shared
from tests.support.syncing import letter
from workers.idler import Idler

WOKEN: list[str] = []


@pytest.fixture
def idler() -> Iterator[Idler]:
    WOKEN.clear()
    idler = Idler(WOKEN.append, renew=3.0)
    idler.start()
    yield idler
    idler.stop()


def waiting(idler: Idler, name: str) -> Client:
    client = Client.open(endpoint(shared(FULL), username=name))
    assert begin_idle(client, b"INBOX", 1)
    idler.keep(name, client)
    return client


def woken(count: int, seconds: float = 5.0) -> list[str]:
    end = time.monotonic() + seconds
    while len(WOKEN) < count and time.monotonic() < end:
        time.sleep(0.02)
    return sorted(WOKEN)


def test_news_wake_the_one_whose_they_are_once(idler: Idler) -> None:
    server = shared(FULL)
    one, other = server.user(), server.user()
    waiting(idler, one)
    waiting(idler, other)
    server.deliver(one, letter(1))
    assert woken(1, 2.0) == [one]
    time.sleep(0.3)
    assert [one] == WOKEN


def test_a_connection_can_be_used_again(idler: Idler) -> None:
    name = shared(FULL).user()
    waiting(idler, name)
    client = idler.take(name)
    assert client is not None
    assert client.status(b"Sent").messages == 0
    assert idler.take(name) is None
    client.close()


def test_a_connection_is_renewed_before_it_is_forgotten(idler: Idler) -> None:
    name = shared(FULL).user()
    waiting(idler, name)
    assert woken(1, 6.0) == [name]


def test_a_connection_that_breaks_wakes_whoever_waits_for_it(idler: Idler) -> None:
    server = shared(FULL)
    name = server.user()
    with Wire(HOST, server.imap) as way:
        client = Client.open(endpoint(server, username=name, port=way.port, encryption="none"))
        assert begin_idle(client, b"INBOX", 1)
        idler.keep(name, client)
        way.cut()
        assert woken(1, 2.0) == [name]
        assert idler.take(name) is None
        assert not client.is_open


def test_mail_that_came_in_between_is_not_waited_for() -> None:
    server = shared(FULL)
    name = server.user()
    server.deliver(name, letter(1))
    with Client.open(endpoint(server, username=name)) as client:
        assert not begin_idle(client, b"INBOX", 1)
        assert begin_idle(client, b"INBOX", 2)
        client.protocol.end_idle()


def test_a_server_without_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    with Client.open(endpoint(shared(FULL))) as client:
        client.capabilities -= {"IDLE"}
        assert not begin_idle(client, b"INBOX", 1)
        with pytest.raises(ImapError):
            client.wait_for_news(1.0)


def test_a_connection_that_no_pass_takes_is_closed() -> None:
    idler = Idler(WOKEN.append, renew=0.1, patience=0.5)
    idler.start()
    try:
        name = shared(FULL).user()
        client = waiting(idler, name)
        end = time.monotonic() + 6
        while client.is_open and time.monotonic() < end:
            time.sleep(0.05)
        assert not client.is_open
        assert idler.take(name) is None
    finally:
        idler.stop()
