"""What the event loop gathers of a request, however it comes."""

from __future__ import annotations

import time

from utils.gunicorn_worker import GATHERED, Inbox

HEAD = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_chunked_body_that_comes_byte_by_byte_costs_little() -> None:
    """Whoever sends one must not keep the loop busy, which serves all."""
    inbox = Inbox(HEAD)
    started = time.process_time()
    for byte in b"1\r\nx\r\n" * (GATHERED // 6):
        inbox.add(bytes([byte]))
        assert not inbox.is_whole()
    assert time.process_time() - started < 5  # some 0.1 s; read from its beginning each time it takes minutes
    inbox.add(b"0\r\n\r")
    assert not inbox.is_whole()
    inbox.add(b"\n")
    assert inbox.is_whole()
