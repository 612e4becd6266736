"""A small SMTP server that prints time.monotonic_ns() of each 250 to a message, a line each.

python -m benchmarks.timed_sink PORT
"""

from __future__ import annotations

import contextlib
import socketserver
import sys
import time


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


def main() -> None:
    with Server(("127.0.0.1", int(sys.argv[1])), Session) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
