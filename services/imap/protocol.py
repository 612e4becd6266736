"""Commands and their answers. imaplib keeps tags and literals; its socket, and what it cannot bound, are ours."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from .endpoint import Limits
from .errors import ImapError, Reason
from .grammar import Piece, items, values
from .wire import Wire

DONE_SECONDS = 10.0  # for the end of an IDLE: a connection that was forgotten on the way never answers
_MORE = {"ENABLE": ("AUTH", "SELECTED"), "MOVE": ("SELECTED",), "ID": ("NONAUTH", "AUTH", "SELECTED")}
imaplib.Commands.update({name: states for name, states in _MORE.items() if name not in imaplib.Commands})


@dataclass(frozen=True, slots=True)
class Answer:
    """The text of the tagged OK, and the untagged answers by their names."""

    text: str
    untagged: dict[str, list[Any]] = field(default_factory=dict)

    def all(self, name: str) -> Iterator[list[Any]]:
        """The values of each untagged answer of that name. ValueError for one that cannot be read."""
        for item in items(cast("list[Piece | None]", self.untagged.get(name, []))):
            yield values(item)

    def number(self, name: str) -> int | None:
        """Of the last answer or response code of that name, such as UIDNEXT or EXISTS."""
        told = self.untagged.get(name) or [None]
        text = (told[-1] or b"").split(b" ")[0] if isinstance(told[-1], bytes) else b""
        return int(text) if text.isdigit() else None

    def code(self, name: str) -> bytes | None:
        """What a response code such as COPYUID says."""
        told = self.untagged.get(name)
        return told[-1] if told and isinstance(told[-1], bytes) else None


class Protocol(imaplib.IMAP4):
    """One connection. All that is public raises ImapError alone."""

    def __init__(self, wire: Wire, limits: Limits) -> None:
        self.wire = wire
        self.limits = limits
        self._idle_tag = b""
        with translated(wire, "the greeting"):
            super().__init__("")
        self.debug = 0
        self.is_readonly = True  # a folder may become so: imaplib would refuse all further commands

    # What imaplib asks of its socket.

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        self.host, self.port = host, port

    def read(self, size: int) -> bytes:
        return self.wire.read(size)

    def readline(self) -> bytes:
        return self.wire.readline()

    def send(self, data: Any) -> None:
        self.wire.send(bytes(data))

    def shutdown(self) -> None:
        self.wire.close()

    # What we ask of it.

    def run(
        self, name: str, *arguments: str | bytes, literal: bytes | None = None, limit: float | None = None
    ) -> Answer:
        """One command. `rejected` when the server says NO or BAD, or when an argument would end the command."""
        self._start(limit)
        for one in arguments:
            told = one.encode() if isinstance(one, str) else one
            if b"\r" in told or b"\n" in told or b"\0" in told:
                raise ImapError(Reason.REJECTED, f"an argument of {name} holds NUL, CR or LF")
        with translated(self.wire, name):
            if literal is not None:
                vars(self)["literal"] = literal
            state, data = self._simple_command(name, *cast(Sequence[str], arguments))
        text = _text(data)
        if state != "OK":
            raise rejected(name.removeprefix("UID "), text)
        return Answer(text, self._untagged())

    def run_uid(self, name: str, *arguments: str | bytes) -> Answer:
        return self.run("UID", name, *arguments)

    def selects(self, name: bytes, *, readonly: bool, parameters: str = "") -> Answer:
        """SELECT or EXAMINE."""
        with translated(self.wire, "SELECT"):
            self.state = "AUTH"
        answer = self.run("EXAMINE" if readonly else "SELECT", name, *([parameters] if parameters else []))
        self.state = "SELECTED"
        return answer

    def authenticate_by(self, mechanism: str, replies: list[bytes]) -> None:
        """SASL, with the answers to the server's challenges in turn, then empty ones. `auth` when it is refused."""
        self._start(self.limits.greeting)
        waiting = iter(replies)
        with translated(self.wire, "AUTHENTICATE"):
            vars(self)["literal"] = imaplib._Authenticator(lambda _: next(waiting, b"")).process
            state, data = self._simple_command("AUTHENTICATE", mechanism)
        if state != "OK":
            raise rejected("AUTHENTICATE", _text(data))
        self.state = "AUTH"

    def ask_capabilities(self) -> frozenset[str]:
        told = self.run("CAPABILITY", limit=self.limits.greeting).untagged.get("CAPABILITY", [])
        return frozenset(b" ".join(told).decode("ascii", "replace").upper().split())

    def wait_for_news(self, seconds: float) -> bool:
        """IDLE in the selected folder (RFC 2177); whether anything happened within that time."""
        self.begin_idle()
        with translated(self.wire, "IDLE"):
            self.wire.waits(seconds)
        return self.end_idle()

    def begin_idle(self) -> None:
        """From here on the server may speak at any time; `end_idle` before any other command."""
        self._start(self.limits.greeting)
        with translated(self.wire, "IDLE"):
            tag = self._idle_tag = self._new_tag()
            self.wire.send(tag + b" IDLE\r\n")
            while self._get_response():  # until the +
                if self.tagged_commands[tag] is not None:
                    raise rejected("IDLE", "the server would not idle")

    def end_idle(self) -> bool:
        """Whether there was news."""
        with translated(self.wire, "IDLE"):
            self.wire.begin(min(self.limits.greeting, DONE_SECONDS))
            self.wire.send(b"DONE\r\n")
            self._command_complete("IDLE", self._idle_tag)
        found = self._untagged()
        return any(name in found for name in ("EXISTS", "EXPUNGE", "FETCH", "VANISHED"))

    def _start(self, limit: float | None) -> None:
        if self.wire.closed:
            raise ImapError(Reason.CLOSED, "the connection is closed")
        self.untagged_responses = {}
        self.wire.begin(limit)

    def _untagged(self) -> dict[str, list[Any]]:
        found, self.untagged_responses = self.untagged_responses, {}
        return dict(found)


def rejected(name: str, text: str) -> ImapError:
    code = text[1:].partition("]")[0].split(" ")[0].upper() if text.startswith("[") else ""
    return ImapError(Reason.REJECTED, f"the server refused {name}: {text or 'no reason given'}", code)


@contextmanager
def translated(wire: Wire, what: str) -> Iterator[None]:
    try:
        yield
    except ImapError:
        raise
    except imaplib.IMAP4.abort as error:
        raise wire.fail(Reason.CLOSED, f"the server ended the connection at {what}: {error}") from error
    except imaplib.IMAP4.error as error:
        text = str(error)
        if "* BYE" in text:
            raise wire.fail(Reason.CLOSED, f"the server ended the connection at {what}: {text}") from error
        marker = "command error: BAD "
        if marker in text:
            raise rejected(what, text.partition(marker)[2].strip("[]b'\"")) from error
        raise wire.fail(Reason.PROTOCOL, f"{what}: {text}") from error
    except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        raise wire.fail(Reason.PROTOCOL, f"the server's answer to {what} cannot be read: {error}") from error


def _text(data: list[Any]) -> str:
    last = data[-1] if data else b""
    return last.decode("utf-8", "replace").strip() if isinstance(last, bytes) else ""
