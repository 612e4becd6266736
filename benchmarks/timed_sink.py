"""A small SMTP server that tells when it answered each message with 250, where smtp-sink only counts.

python -m benchmarks.timed_sink PORT       prints time.monotonic_ns() of each, a line each
"""

from __future__ import annotations

import contextlib
import socketserver
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.processes import ROOT
from tests.support.daemon import free_port


class Session(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        self.wfile.write(b"220 sink.test ESMTP\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"DATA":
                self._take()
            elif verb == b"EHLO":
                self.wfile.write(b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 50000000\r\n")
            elif verb == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 2.0.0 ok\r\n")

    def _take(self) -> None:
        self.wfile.write(b"354 go on\r\n")
        while self.rfile.readline() not in (b".\r\n", b""):
            pass
        self.wfile.write(b"250 2.0.0 taken\r\n")
        print(time.monotonic_ns(), flush=True)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class TimedSink:
    """The server as a process of its own; its clock is the one that all processes share."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.port = port

    def arrival(self) -> float:
        """When the next message was answered, in seconds of time.monotonic(). Waits for it."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline()) / 1e9


@contextmanager
def timed_sink() -> Iterator[TimedSink]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.timed_sink", str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield TimedSink(process, port)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def main() -> None:
    with Server(("127.0.0.1", int(sys.argv[1])), Session) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
