"""A fast SMTP server that keeps what it is sent, so that tests can look at real deliveries.

    with Sink() as sink:            # in this process, on a free port
        ...; sink.messages[0].data

    python -m tests.support.sink --port 2600 --log accepted.jsonl     # as a process of its own

The process writes one JSON line per accepted message, flushed before the 250 goes out: what the log lacks
was never acknowledged, even after kill -9.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

ADDRESS = re.compile(r"(?:FROM|TO):\s*<([^>]*)>", re.IGNORECASE)
MESSAGE_ID = re.compile(rb"^Message-ID:\s*(\S+)", re.IGNORECASE | re.MULTILINE)

Hook = Callable[..., str | None]  # a reply to give in place of the 250, or None


@dataclass
class Message:
    mail_from: str
    rcpt_tos: list[str]
    data: bytes  # dots unstuffed
    at: float  # time.time()
    mail_args: str = ""
    connection: int = 0

    @property
    def message_id(self) -> str:
        found = MESSAGE_ID.search(self.data.partition(b"\r\n\r\n")[0] + b"\r\n")
        return found[1].decode() if found else ""


@dataclass
class Hooks:
    """Each may return a whole reply ("450 4.2.0 later"). "<close>" and "<silence>" drop and stall the
    connection."""

    on_connect: Hook = field(default=lambda: None)
    on_mail: Hook = field(default=lambda sender: None)
    on_rcpt: Hook = field(default=lambda recipient: None)
    on_data: Hook = field(default=lambda message: None)  # after the dot; all but a 2yz discards the message


class Sink:
    def __init__(
        self,
        port: int = 0,
        *,
        pipelining: bool = True,
        extensions: tuple[str, ...] = ("8BITMIME", "SMTPUTF8", "SIZE 50000000"),
        auth: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        delay: float = 0.0,
        byte_pause: float = 0.0,
        keep: bool = True,
        hooks: Hooks | None = None,
    ) -> None:
        """`auth` demands this login. `tls` offers STARTTLS, or `implicit_tls`. `delay` is in seconds before
        each reply to the dot, `byte_pause` before each byte of any. Without `keep` the messages are only counted."""
        self.extensions = extensions + (("PIPELINING",) if pipelining else ())
        self.auth, self.tls, self.implicit_tls = auth, tls, implicit_tls
        self.delay, self.byte_pause, self.keep = delay, byte_pause, keep
        self.hooks = hooks or Hooks()
        self.messages: list[Message] = []
        self.accepted = 0
        self.connections = 0
        self.open_now = 0
        self.peak = 0  # most connections at one time
        self._rcpt_replies: dict[str, str] = {}
        self._lock = threading.Condition()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Sink:
        self._start(self._listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            sockets, threads = list(self._sockets), list(self._threads)
        for sock in sockets:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)

    def drop_connections(self) -> None:
        """Hang up on every client, as a server does on idle ones."""
        with self._lock:
            for sock in self._sockets:
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def reply_to_rcpt(self, address: str, reply: str | None) -> None:
        """Answer RCPT of this address so from now on; None: accept it again."""
        if reply is None:
            self._rcpt_replies.pop(address, None)
        else:
            self._rcpt_replies[address] = reply

    def wait_for(self, count: int, timeout: float = 10.0) -> list[Message]:
        """The messages once there are `count`; AssertionError when they do not come in time."""
        self.wait_for_accepted(count, timeout)
        with self._lock:
            return list(self.messages)

    def wait_for_accepted(self, count: int, timeout: float = 10.0) -> None:
        with self._lock:
            arrived = self._lock.wait_for(lambda: self.accepted >= count, timeout)
            assert arrived, f"{self.accepted} of {count} messages came in {timeout} s"

    def take(self, message: Message) -> None:
        """A message was accepted; its 250 has not gone out yet."""
        with self._lock:
            self.accepted += 1
            if self.keep:
                self.messages.append(message)
            self._lock.notify_all()

    def rcpt_reply(self, recipient: str) -> str | None:
        return self._rcpt_replies.get(recipient) or self.hooks.on_rcpt(recipient)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        with self._lock:
            self._threads = [other for other in self._threads if other.is_alive()]
            self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self.open_now += 1
            self.peak = max(self.peak, self.open_now)
            number = self.connections
            self._sockets.add(sock)
        session = _Session(self, sock, number)
        try:
            session.run()
        except (OSError, _Closed):
            pass
        finally:
            with self._lock:
                self.open_now -= 1
                self._sockets.discard(sock)
            session.close()


class _Closed(Exception):
    pass


class _Session:
    def __init__(self, sink: Sink, sock: socket.socket, number: int) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sink, self.sock, self.number = sink, sock, number
        self.buffer = bytearray()
        self.out: list[str] = []
        self.secure = self.trusted = False
        self.sender: str | None = None
        self.mail_args = ""
        self.rcpts: list[str] = []

    def close(self) -> None:
        self.sock.close()

    def run(self) -> None:
        if self.sink.implicit_tls:
            self._encrypt()
        self._say(self.sink.hooks.on_connect() or "220 sink.test ESMTP")
        while True:
            line = self._line()
            verb, _, rest = line.partition(" ")
            handler = getattr(self, f"_do_{verb.lower()}", None)
            if handler is None:
                self._say("500 5.5.2 what?")
            else:
                handler(rest)

    def _do_ehlo(self, rest: str) -> None:
        lines = ["sink.test", *self.sink.extensions]
        if self.sink.tls and not self.secure:
            lines.append("STARTTLS")
        if self.sink.auth:
            lines.append("AUTH PLAIN LOGIN")
        for line in lines[:-1]:
            self._say(f"250-{line}")
        self._say(f"250 {lines[-1]}")

    def _do_helo(self, rest: str) -> None:
        self._say("250 sink.test")

    def _do_starttls(self, rest: str) -> None:
        self._say("220 2.0.0 go ahead")
        self._flush()
        self._encrypt()

    def _do_auth(self, rest: str) -> None:
        mechanism, _, initial = rest.partition(" ")
        if mechanism.upper() == "PLAIN":
            _, user, password = _unbase64(initial or self._ask("")).split("\0")
        else:
            user, password = _unbase64(self._ask("VXNlcm5hbWU6")), _unbase64(self._ask("UGFzc3dvcmQ6"))
        self.trusted = (user, password) == self.sink.auth
        self._say("235 2.7.0 welcome" if self.trusted else "535 5.7.8 wrong username or password")

    def _do_mail(self, rest: str) -> None:
        found = ADDRESS.match(rest)
        if self.sink.auth and not self.trusted:
            self._say("530 5.7.0 log in first")
        elif self.sender is not None:
            self._say("503 5.5.1 nested MAIL")
        elif found is None:
            self._say("501 5.5.4 no address")
        else:
            reply = self.sink.hooks.on_mail(found[1])
            if reply is None or reply[0] == "2":
                self.sender, self.mail_args, self.rcpts = found[1], rest[found.end() :].strip(), []
            self._say(reply or "250 2.1.0 ok")

    def _do_rcpt(self, rest: str) -> None:
        found = ADDRESS.match(rest)
        if self.sender is None or found is None:
            self._say("503 5.5.1 not now")
            return
        reply = self.sink.rcpt_reply(found[1])
        if reply is None or reply[0] == "2":
            self.rcpts.append(found[1])
        self._say(reply or "250 2.1.5 ok")

    def _do_data(self, rest: str) -> None:
        if self.sender is None or not self.rcpts:
            self._say("503 5.5.1 no valid recipients")
            return
        self._say("354 go on")
        message = Message(self.sender, self.rcpts, self._body(), time.time(), self.mail_args, self.number)
        self.sender = None
        if self.sink.delay:
            time.sleep(self.sink.delay)
        reply = self.sink.hooks.on_data(message)
        if reply is None or reply[0] == "2":
            self.sink.take(message)
        self._say(reply or "250 2.0.0 accepted")

    def _do_rset(self, rest: str) -> None:
        self.sender = None
        self._say("250 2.0.0 ok")

    def _do_noop(self, rest: str) -> None:
        self._say("250 2.0.0 ok")

    def _do_quit(self, rest: str) -> None:
        self._say("221 2.0.0 bye")
        self._flush()
        raise _Closed

    def _encrypt(self) -> None:
        assert self.sink.tls is not None
        self.sock = self.sink.tls.wrap_socket(self.sock, server_side=True)
        self.secure = True
        self.buffer.clear()

    def _ask(self, prompt: str) -> str:
        self._say(f"334 {prompt}")
        return self._line()

    def _say(self, reply: str) -> None:
        """Replies wait until the client's commands are all read (RFC 2920 3.2)."""
        if reply == "<close>":
            raise _Closed
        if reply == "<silence>":
            self._flush()
            while True:
                self._fill()
        self.out.append(reply)
        if reply.startswith("421"):
            self._flush()
            raise _Closed

    def _flush(self) -> None:
        if self.out:
            data = ("\r\n".join(self.out) + "\r\n").encode()
            self.out.clear()
            while self.sink.byte_pause and data:
                time.sleep(self.sink.byte_pause)
                self.sock.sendall(data[:1])
                data = data[1:]
            self.sock.sendall(data)

    def _fill(self) -> int:
        """How many bytes the buffer held before."""
        self._flush()
        held = len(self.buffer)
        chunk = self.sock.recv(262144)
        if not chunk:
            raise _Closed
        self.buffer += chunk
        return held

    def _line(self) -> str:
        while (end := self.buffer.find(b"\r\n")) < 0:
            self._fill()
        line = self.buffer[:end].decode("utf-8", "surrogateescape")
        del self.buffer[: end + 2]
        return line

    def _body(self) -> bytes:
        if not self.buffer:
            self._fill()
        while len(self.buffer) < 3:
            self._fill()
        if self.buffer.startswith(b".\r\n"):
            del self.buffer[:3]
            return b""
        seen = 0
        while (end := self.buffer.find(b"\r\n.\r\n", max(seen - 4, 0))) < 0:
            seen = self._fill()
        data = bytes(self.buffer[: end + 2])
        del self.buffer[: end + 5]
        if data.startswith(b"."):
            data = data[1:]
        return data.replace(b"\r\n..", b"\r\n.")


class LoggingSink(Sink):
    """Keeps a file in place of the list."""

    def __init__(self, path: str, **options: Any) -> None:
        super().__init__(keep=False, **options)
        self._log = open(path, "a", buffering=1)  # noqa: SIM115 - open as long as the process lives

    def take(self, message: Message) -> None:
        fact = {
            "mail_from": message.mail_from,
            "rcpt_tos": message.rcpt_tos,
            "message_id": message.message_id,
            "at": message.at,
            "peak": self.peak,
        }
        with self._lock:
            self._log.write(json.dumps(fact) + "\n")
        super().take(message)


def _unbase64(text: str) -> str:
    return base64.b64decode(text).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description="SMTP server that accepts and logs everything")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", required=True)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--no-pipelining", action="store_true")
    options = parser.parse_args()
    pipelining = not options.no_pipelining
    with LoggingSink(options.log, port=options.port, delay=options.delay, pipelining=pipelining) as sink:
        print(f"listening on {sink.port}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
