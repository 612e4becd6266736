"""A connection to a POP3 account. One thread at a time uses it; every error is an ImapError with its reason.

Messages go by numbers that hold for this connection alone, and by UIDs (RFC 1939, 7) that last. Nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from services.imap import Endpoint, ImapError, Limits, Reason
from services.imap.wire import Wire
from services.smtp import SmtpError
from services.smtp.dial import dial
from services.smtp.tls import TlsInfo, context_for, server_name

from .login import log_in
from .protocol import Protocol

MOST_MESSAGES = 500_000  # of a mailbox; their numbers and UIDs are kept in memory
OnStep = Callable[[str, str], None]  # dns, connect, tls, banner, auth; and what was found


def _ignore(step: str, detail: str) -> None:
    pass


class Client:
    """`capabilities` (RFC 2449) are those after login, a line each, in upper case; empty where CAPA is not known."""

    def __init__(self, protocol: Protocol, capabilities: tuple[str, ...]) -> None:
        self.protocol = protocol
        self.capabilities = capabilities

    @classmethod
    def open(
        cls,
        endpoint: Endpoint,
        limits: Limits | None = None,
        on_step: OnStep = _ignore,
        on_wire: Callable[[Wire], None] = lambda wire: None,
    ) -> Client:
        """Connect to no address that its owner may not use, agree on TLS, log in.

        `on_wire` gets the connection as soon as there is one: another thread may have to abort it.
        """
        limits = limits or Limits()
        wire = _connected(endpoint, limits, on_step)
        on_wire(wire)
        try:
            return cls._greeted(wire, endpoint, limits, on_step)
        except BaseException:
            wire.close()
            raise

    @classmethod
    def _greeted(cls, wire: Wire, endpoint: Endpoint, limits: Limits, on_step: OnStep) -> Client:
        if endpoint.encryption == "tls":
            _secure(wire, endpoint, on_step)
        protocol = Protocol(wire, limits)
        on_step("banner", protocol.greeting())
        capabilities = protocol.capabilities()
        if endpoint.encryption == "starttls":
            _start_tls(protocol, endpoint, on_step)
            capabilities = protocol.capabilities()  # what was said before TLS is forgotten (RFC 2595, 4)
        on_step("auth", log_in(protocol, endpoint, capabilities))
        return cls(protocol, protocol.capabilities() or capabilities)

    def has(self, name: str) -> bool:
        return any(one.split(" ")[0] == name for one in self.capabilities)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Take leave of the server, or it may keep the mailbox locked; never raises, and waits but a moment."""
        if not self.protocol.wire.closed:
            with suppress(ImapError):
                self.protocol.run("QUIT", limit=2.0)
        self.protocol.wire.close()

    def abort(self) -> None:
        """From any thread: end whatever waits for the server."""
        self.protocol.wire.abort()

    @property
    def is_open(self) -> bool:
        return not self.protocol.wire.closed

    @property
    def tls_info(self) -> TlsInfo | None:
        return self.protocol.wire.tls_info()

    def count(self) -> tuple[int, int]:
        """How many messages there are, and their bytes in all."""
        return self.protocol.numbers(self.protocol.run("STAT"))

    def sizes(self) -> dict[int, int]:
        """Number → bytes."""
        self.protocol.run("LIST")
        return dict(self.protocol.numbers(line) for line in self.protocol.lines(MOST_MESSAGES))

    def uids(self) -> dict[int, str]:
        """Number → UID, in the server's order: the oldest first. UNSUPPORTED where the server has none."""
        try:
            self.protocol.run("UIDL")
        except ImapError as error:
            if error.reason is not Reason.REJECTED:
                raise
            raise ImapError(Reason.UNSUPPORTED, f"the server does not tell UIDs: {error}") from None
        return dict(self.protocol.numbered(line) for line in self.protocol.lines(MOST_MESSAGES))

    def number_of(self, uid: str) -> int | None:
        """None: it is there no more."""
        return next((number for number, one in self.uids().items() if one == uid), None)

    def head(self, number: int, lines: int = 0) -> Iterator[bytes]:
        """The header, and so many lines of the body, in blocks. UNSUPPORTED where TOP is not offered.

        Here and in `message`: read all of it, or nothing more may be asked on this connection.
        """
        if self.capabilities and not self.has("TOP"):
            raise ImapError(Reason.UNSUPPORTED, "the server does not offer TOP")
        self.protocol.run(f"TOP {number} {lines}")
        return self.protocol.content()

    def message(self, number: int) -> Iterator[bytes]:
        """The whole message in blocks. TOO_LARGE over `Limits.answer` bytes: look at its size first."""
        self.protocol.run(f"RETR {number}")
        return self.protocol.content()


def _connected(endpoint: Endpoint, limits: Limits, on_step: OnStep) -> Wire:
    try:
        sock, address = dial(endpoint, limits.connect, on_step)
    except SmtpError as error:
        raise ImapError(error.reason, error.detail) from error
    on_step("connect", f"{address.ip} port {address.port}")
    return Wire(sock, limits)


def _secure(wire: Wire, endpoint: Endpoint, on_step: OnStep) -> None:
    wire.start_tls(context_for(endpoint), server_name(endpoint))
    info = wire.tls_info()
    on_step("tls", f"{info.version} {info.cipher}" if info else "")


def _start_tls(protocol: Protocol, endpoint: Endpoint, on_step: OnStep) -> None:
    """No offer is a failure: someone on the way may have cut it out. So it is tried all the same."""
    try:
        protocol.run("STLS", limit=protocol.limits.greeting)
    except ImapError as error:
        if error.reason is not Reason.REJECTED:
            raise
        raise protocol.wire.fail(Reason.TLS, f"the server does not offer STARTTLS: {error}") from error
    _secure(protocol.wire, endpoint, on_step)
