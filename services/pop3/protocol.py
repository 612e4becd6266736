"""Commands and their answers: one line, or lines up to a lone dot."""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.imap import ImapError, Limits, Reason
from services.imap.wire import Wire

_CODE = re.compile(r"\[([A-Za-z/-]+)\]")  # RFC 2449, 8


class Protocol:
    """All that is public raises ImapError alone. `rejected` is the server's -ERR; the connection goes on after it."""

    def __init__(self, wire: Wire, limits: Limits) -> None:
        self.wire = wire
        self.limits = limits

    def greeting(self) -> str:
        """Of a server that takes us, else `rejected`."""
        self.wire.begin(self.limits.greeting)
        return self._status("the connection")

    def run(self, command: str, limit: float | None = None, name: str = "") -> str:
        """The text of the +OK. `name`: what to call the command in an error, when it holds a secret."""
        if any(one in command for one in "\r\n\0"):
            raise ImapError(
                Reason.REJECTED, f"an argument of {name or command.split()[0]} holds NUL, CR or LF"
            )
        if self.wire.closed:
            raise ImapError(Reason.CLOSED, "the connection is closed")
        self.wire.begin(limit)
        self.wire.send(command.encode() + b"\r\n")
        return self._status(name or command.split(" ")[0])

    def authenticate_by(self, mechanism: str, replies: list[bytes]) -> None:
        """SASL (RFC 5034): the answers, in base64, are sent as the server asks for them, then empty ones. A question
        after the first is a refusal in disguise, as XOAUTH2 has it: the answer brings the -ERR."""
        self.wire.begin(self.limits.greeting)
        self.wire.send(f"AUTH {mechanism}\r\n".encode())
        waiting = iter(replies)
        while (line := self._line()).startswith(b"+ ") or line == b"+":
            self.wire.send(next(waiting, b"") + b"\r\n")
        self._judge(line, "AUTH")

    def capabilities(self) -> tuple[str, ...]:
        """What CAPA tells; nothing where the server does not know it."""
        try:
            self.run("CAPA", limit=self.limits.greeting)
        except ImapError as error:
            if error.reason is Reason.REJECTED:
                return ()
            raise
        return tuple(line.decode("ascii", "replace").upper().strip() for line in self.lines())

    def lines(self) -> Iterator[bytes]:
        """Of an answer of many lines, without their ends and without the dots that were added (RFC 1939, 3)."""
        while (line := self._line()) != b".":
            yield line.removeprefix(b".")

    def numbers(self, told: str | bytes) -> tuple[int, int]:
        """The first two words of an answer, as numbers."""
        number, rest = self.numbered(told)
        word = rest.split(" ")[0]
        if not word.isdecimal():
            raise self._unreadable(told)
        return number, int(word)

    def numbered(self, told: str | bytes) -> tuple[int, str]:
        """A message's number, and what follows it."""
        text = told if isinstance(told, str) else told.decode("ascii", "replace")
        number, _, rest = text.strip().partition(" ")
        if not (number.isdecimal() and len(number) < 10 and rest):
            raise self._unreadable(told)
        return int(number), rest.strip()

    def _line(self) -> bytes:
        return self.wire.readline().rstrip(b"\r\n")

    def _status(self, name: str) -> str:
        return self._judge(self._line(), name)

    def _judge(self, line: bytes, name: str) -> str:
        text = line.decode("utf-8", "replace")
        if text.startswith("+OK"):
            return text[3:].strip()
        if not text.startswith("-ERR"):
            raise self.wire.fail(
                Reason.PROTOCOL, f"the server's answer to {name} is not POP3: {text[:200]!r}"
            )
        said = text[4:].strip()
        code = _CODE.match(said)
        detail = f"the server refused {name}: {said or 'no reason given'}"
        raise ImapError(Reason.REJECTED, detail, code[1].upper() if code else "")

    def _unreadable(self, told: str | bytes) -> ImapError:
        return self.wire.fail(Reason.PROTOCOL, f"the server's answer cannot be read: {told[:200]!r}")
