"""A POP3 server that says what a test tells it to, for as many connections as come."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.tcp import served

Said = bytes | Callable[[socket.socket], None]  # what to say, or what to do

GREETING = b"+OK ready\r\n"
CAPA = b"+OK\r\nTOP\r\nUIDL\r\nSASL PLAIN\r\n.\r\n"
UNKNOWN = b"-ERR what?\r\n"
USUAL = {"CAPA": CAPA, "AUTH": b"+ \r\n", "USER": b"+OK\r\n", "PASS": b"+OK\r\n", "QUIT": b"+OK bye\r\n"}


@dataclass
class Pop3:
    """`answers`: by command, whole (`RETR 2`) or its first word; `""` is the greeting. `heard`: what clients said."""

    answers: Mapping[str, Said]
    port: int = 0
    heard: list[str] = field(default_factory=list)

    def talk(self, sock: socket.socket) -> None:
        self._say(sock, self.answers.get("", GREETING))
        with sock.makefile("rb") as lines:
            for line in lines:
                told = line.decode(errors="replace").rstrip("\r\n")
                self.heard.append(told)
                word = told.split(" ")[0].upper()
                self._say(sock, self.answers.get(told) or self.answers.get(word) or USUAL.get(word, UNKNOWN))
                if word == "AUTH" and "AUTH" not in self.answers:
                    self.heard.append(lines.readline().decode(errors="replace").rstrip("\r\n"))
                    self._say(sock, b"+OK\r\n")
                elif word == "QUIT":
                    return

    def _say(self, sock: socket.socket, said: Said) -> None:
        if callable(said):
            said(sock)
        else:
            sock.sendall(said)


def listing(told: Mapping[int, object]) -> bytes:
    """As LIST and UIDL answer."""
    return b"+OK\r\n" + b"".join(f"{number} {one}\r\n".encode() for number, one in told.items()) + b".\r\n"


def mailbox(messages: Mapping[str, bytes]) -> dict[str, Said]:
    """The answers of one that holds these, by their UIDs; each is sent as it is, so it ends as POP3 wants it."""
    numbered = dict(enumerate(messages, 1))
    return {
        "UIDL": listing(numbered),
        "LIST": listing({number: len(messages[uid]) for number, uid in numbered.items()}),
        **{f"RETR {number}": b"+OK\r\n" + messages[uid] for number, uid in numbered.items()},
    }


@contextmanager
def pop3(answers: Mapping[str, Said]) -> Iterator[Pop3]:
    server = Pop3(answers)
    with served(server.talk) as server.port:
        yield server
