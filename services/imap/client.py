"""A connection to a mail account. One thread at a time uses it; every error is an ImapError with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime

from services.smtp import SmtpError
from services.smtp.dial import dial
from services.smtp.tls import TlsInfo, context_for, server_name

from . import names
from .endpoint import Endpoint, Limits
from .errors import ImapError, Reason
from .folders import STATUS_ITEMS, Listed, Status, folder_key, read_list, read_statuses
from .grammar import compact, number_set
from .login import log_in
from .protocol import Answer, Protocol, translated
from .wire import Wire

OnStep = Callable[[str, str], None]  # dns, connect, tls, banner, auth; and what was found


_FLAG = re.compile(r"""\\?[^\x00-\x20\x7f-\U0010ffff(){}%*"\\\]]+""")  # RFC 9051: an atom


def _ignore(step: str, detail: str) -> None:
    pass


class Client:
    """`capabilities` are those after login. Close it, or use it as a context manager."""

    def __init__(self, protocol: Protocol, capabilities: frozenset[str]) -> None:
        self.protocol = protocol
        self.capabilities = capabilities
        self.qresync = False  # whether VANISHED may be asked for: see reading.enable_qresync

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
        on_step("banner", _banner(protocol))
        if endpoint.encryption == "starttls":
            _start_tls(protocol, endpoint, on_step)
        capabilities = protocol.ask_capabilities()
        if protocol.state == "NONAUTH":
            on_step("auth", log_in(protocol, endpoint, capabilities))
            capabilities = protocol.ask_capabilities()  # servers offer more to those whom they know
        return cls(protocol, capabilities)

    def has(self, *capabilities: str) -> bool:
        return all(one in self.capabilities for one in capabilities)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Log out if the server still listens; never raises, and waits but a moment."""
        if not self.protocol.wire.closed:
            with suppress(ImapError):
                self.protocol.run("LOGOUT", limit=2.0)
        self.protocol.wire.close()

    def hang_up(self) -> None:
        """The same, waiting for nothing."""
        if not self.protocol.wire.closed:
            with suppress(ImapError):
                self.protocol.wire.begin(0.1)
                self.protocol.wire.send(b"BYE LOGOUT\r\n")
        self.protocol.wire.close()

    def abort(self) -> None:
        """From any thread: end whatever waits for the server."""
        self.protocol.wire.abort()

    @property
    def is_open(self) -> bool:
        return not self.protocol.wire.closed

    def reading(self, what: str) -> AbstractContextManager[None]:
        """Around what takes an answer apart: one that cannot be read is a protocol error."""
        return translated(self.protocol.wire, what)

    @property
    def tls_info(self) -> TlsInfo | None:
        return self.protocol.wire.tls_info()

    # Folders.

    def folders(self, *, counted: bool = True) -> list[Listed]:
        """All of them, with their counters where LIST-STATUS is offered and they are wanted. An empty list is an error:
        INBOX is always there, and nobody's mail shall seem to be gone because a server hiccuped."""
        answer = self.protocol.run("LIST", '""', '"*"', *self._list_options(counted))
        with self.reading("LIST"):
            found = read_list(answer)
        if not found:
            raise ImapError(Reason.PROTOCOL, "the server listed no folder at all")
        return found

    def status(self, raw_name: bytes) -> Status:
        """The counters of one folder; not to be asked of the selected one."""
        answer = self.protocol.run("STATUS", _quoted(raw_name), f"({self._status_items()})")
        with self.reading("STATUS"):
            stated = read_statuses(answer)
        return stated.get(folder_key(raw_name)) or next(iter(stated.values()), Status())

    def create_folder(self, raw_name: bytes) -> None:
        self.protocol.run("CREATE", _quoted(raw_name))

    def rename_folder(self, raw_name: bytes, to: bytes) -> None:
        self.protocol.run("RENAME", _quoted(raw_name), _quoted(to))

    def delete_folder(self, raw_name: bytes) -> None:
        self.protocol.run("DELETE", _quoted(raw_name))

    def _list_options(self, counted: bool) -> list[str]:
        wanted = ["SPECIAL-USE"] if self.has("SPECIAL-USE") else []
        if counted and self.has("LIST-STATUS"):
            wanted.append(f"STATUS ({self._status_items()})")
        return ["RETURN", f"({' '.join(wanted)})"] if wanted and self.has("LIST-EXTENDED") else []

    def _status_items(self) -> str:
        more = ["HIGHESTMODSEQ"] if self.has_condstore else []
        return " ".join([*STATUS_ITEMS, *more, *(["MAILBOXID"] if self.has("OBJECTID") else [])])

    @property
    def has_condstore(self) -> bool:
        return self.has("CONDSTORE") or self.has("QRESYNC")

    def leave_folder(self) -> None:
        """No folder is selected from here on. Of the selected one servers tell the counters as they last told them here
        (RFC 9051, 6.3.11). It was selected to be read alone: CLOSE deletes nothing."""
        if self.protocol.state == "SELECTED":
            self.protocol.run("UNSELECT" if self.has("UNSELECT") else "CLOSE")
            self.protocol.state = "AUTH"

    # Changes of messages in the selected folder; see reading.select.

    def search(self, *criteria: str | bytes) -> list[int]:
        """UIDs. A text of somebody else's goes through `string` first."""
        answer = self.protocol.run_uid("SEARCH", *criteria)
        with self.reading("SEARCH"):
            told = [one for values in answer.all("SEARCH") for one in values]
        return sorted({int(one) for one in told if isinstance(one, bytes) and one.isdigit()})

    def store(self, uids: list[int], change: str, flags: list[str]) -> None:
        """`change`: +FLAGS, -FLAGS or FLAGS."""
        for one in flags:
            if not _FLAG.fullmatch(one):
                raise ImapError(Reason.REJECTED, f"{one!r} cannot be a flag")
        self.protocol.run_uid("STORE", compact(uids), f"{change}.SILENT", f"({' '.join(flags)})")

    def move(self, uids: list[int], to: bytes) -> dict[int, int] | None:
        """Old UIDs to new ones, or None where the server does not tell.

        Without MOVE: copy, mark as deleted, and expunge those alone. A server without UIDPLUS keeps the marked ones: a
        bare EXPUNGE would destroy those of others, too.
        """
        if self.has("MOVE"):
            return self._copied(self.protocol.run_uid("MOVE", compact(uids), _quoted(to)))
        copied = self.copy(uids, to)
        self.delete(uids)
        return copied

    def copy(self, uids: list[int], to: bytes) -> dict[int, int] | None:
        return self._copied(self.protocol.run_uid("COPY", compact(uids), _quoted(to)))

    def _copied(self, answer: Answer) -> dict[int, int] | None:
        told = answer.code("COPYUID")
        if told is None:
            return None
        with self.reading("COPYUID"):
            _, source, target = told.split(b" ")
            olds, news = ([uid for one in number_set(text) for uid in one] for text in (source, target))
        return dict(zip(olds, news, strict=False))

    def delete(self, uids: list[int]) -> None:
        """For good, where the server can do so to these alone; else they stay, marked as deleted."""
        self.store(uids, "+FLAGS", ["\\Deleted"])
        if self.has("UIDPLUS"):
            self.protocol.run_uid("EXPUNGE", compact(uids))

    def append(
        self, raw_name: bytes, message: bytes, flags: list[str], at: int | None = None
    ) -> tuple[int, int] | None:
        """(UIDVALIDITY, UID), or None where the server does not tell. `at`: its INTERNALDATE, ms since the epoch."""
        arguments: list[str | bytes] = [_quoted(raw_name), f"({' '.join(flags)})"]
        if at is not None:
            arguments.append(f'"{_internal_date(at)}"')
        told = self.protocol.run("APPEND", *arguments, literal=message).code("APPENDUID")
        if told is None:
            return None
        with self.reading("APPENDUID"):
            validity, uid = told.split(b" ")
            return int(validity), int(uid)

    def wait_for_news(self, seconds: float) -> bool:
        """IDLE in the selected folder; whether anything happened. UNSUPPORTED where it is not offered."""
        if not self.has("IDLE"):
            raise ImapError(Reason.UNSUPPORTED, "the server does not offer IDLE")
        return self.protocol.wait_for_news(seconds)


def string(text: str | bytes) -> bytes:
    """A quoted string, for a search. It may hold no NUL, CR or LF: `search` refuses those."""
    raw = text.encode() if isinstance(text, str) else text
    return b'"' + raw.replace(b"\\", rb"\\").replace(b'"', rb"\"") + b'"'


def _quoted(raw_name: bytes) -> bytes:
    try:
        return names.quoted(raw_name)
    except ValueError as error:
        raise ImapError(Reason.REJECTED, str(error)) from None


_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # strftime goes by the locale


def _internal_date(at: int) -> str:
    when = datetime.fromtimestamp(at / 1000, UTC)
    return f"{when.day:2d}-{_MONTHS[when.month - 1]}-{when.year} {when:%H:%M:%S} +0000"


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
    if protocol.state != "NONAUTH":  # whoever cut in could spare us the TLS by a PREAUTH
        raise protocol.wire.fail(Reason.TLS, "the server has logged us in before TLS")
    if "STARTTLS" not in protocol.capabilities:
        raise protocol.wire.fail(Reason.TLS, "the server does not offer STARTTLS")
    protocol.run("STARTTLS", limit=protocol.limits.greeting)
    _secure(protocol.wire, endpoint, on_step)


def _banner(protocol: Protocol) -> str:
    welcome = protocol.welcome
    return welcome.decode("utf-8", "replace") if isinstance(welcome, bytes) else str(welcome)
