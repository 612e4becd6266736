"""One SMTP session that carries many emails (RFC 5321), pipelined where the server offers it (RFC 2920)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from utils.clock import monotonic

from .capabilities import Capabilities
from .dial import OnStep, dial
from .endpoint import Deadlines, Endpoint
from .envelope import DATA, Envelope, EnvelopeReplies, check, commands
from .errors import Reason, SmtpError, Stage
from .greeting import greet
from .reply import CLOSING, Reply
from .tls import TlsInfo
from .wire import Wire

DEADLINES = Deadlines()
_RSET = b"RSET\r\n"
_BARE = re.compile(rb"\r\n|\r|\n")


def _no_step(name: str, detail: str) -> None:
    pass


class Connection:
    """Per email: send_envelope, read_envelope, then send_body and read_final when the replies are `ready`, or
    refuse_body when they only `must_end_data`. Calls out of this order are a RuntimeError.

    Everything that fails on the network or in the protocol raises SmtpError and closes. `used` counts the
    bodies sent, `last_used` is monotonic.
    """

    def __init__(self, wire: Wire, can: Capabilities, peer: tuple[str, int], deadlines: Deadlines) -> None:
        self._wire = wire
        self._can = can
        self._limits = deadlines
        self._state: Literal["idle", "envelope", "body", "final"] = "idle"
        self._envelope: Envelope | None = None  # whose replies read_envelope brings
        self._failure: Exception | None = None  # what read_envelope raises in their place
        self._ready = False  # the envelope at hand may have a body
        self._needs_reset = self._reset_sent = False
        self.peer = peer
        self.used = 0
        self.last_used = monotonic()

    @classmethod
    def open(
        cls, endpoint: Endpoint, deadlines: Deadlines = DEADLINES, on_step: OnStep = _no_step
    ) -> Connection:
        """`on_step(name, detail)` hears of dns, connect, tls, banner, ehlo and auth as each succeeds."""
        sock, address = dial(endpoint, deadlines.connect, on_step)
        wire = Wire(sock)
        on_step("connect", f"{address.ip} port {address.port}")
        try:
            can = greet(wire, endpoint, deadlines.greeting, on_step)
        except BaseException:
            wire.close()
            raise
        return cls(wire, can, (address.ip, address.port), deadlines)

    @property
    def capabilities(self) -> Mapping[str, str]:
        return self._can.keywords

    @property
    def pipelining(self) -> bool:
        return self._can.pipelining

    @property
    def smtputf8(self) -> bool:
        return self._can.smtputf8

    @property
    def eightbit(self) -> bool:
        return self._can.eightbit

    @property
    def max_size(self) -> int | None:
        return self._can.max_size

    @property
    def tls_info(self) -> TlsInfo | None:
        return self._wire.tls_info()

    @property
    def usable(self) -> bool:
        """False once closed, or once the server announced with a 421 that it will close."""
        return not (self._wire.closed or self._wire.closing)

    def send_envelope(self, envelope: Envelope) -> None:
        """SmtpError (unsupported, too_large) or ValueError, with nothing sent and the connection usable,
        when the envelope cannot go to this server."""
        self._expect("idle")
        batch = self._prepared(envelope)
        self._state, self._envelope = "envelope", envelope
        if self.pipelining:
            self._reset_sent = self._needs_reset
            self._wire.send([_RSET + batch if self._needs_reset else batch], self._limits.mail, Stage.MAIL)

    def read_envelope(self) -> EnvelopeReplies:
        """Without PIPELINING the dialog is held here; it ends early when MAIL or every RCPT is refused."""
        self._expect("envelope")
        envelope, failure = self._envelope, self._failure
        self._state, self._envelope, self._failure = "idle", None, None
        if failure is not None:
            if self._wire.closing:
                self.close()
            raise failure
        assert envelope is not None
        replies = self._read_batch(envelope) if self.pipelining else self._converse(envelope)
        # A transaction that got no body stays open at the server, which would refuse a second MAIL in it.
        self._needs_reset = not replies.must_end_data
        if replies.must_end_data:
            self._state = "body"
        self._ready = replies.ready
        return replies

    def send_body(self, data: bytes, then: Envelope | None = None) -> None:
        """`data` is the message with CRLF line ends. `then` is the next email's envelope: read_envelope
        brings its replies (or its SmtpError or ValueError) after read_final has brought this email's.

        SmtpError with stage BODY: the final dot did not go out.
        """
        self._expect("body")
        if not self._ready:
            raise RuntimeError("no recipient was accepted: refuse_body")
        body = _dotted(data)
        self._state = "final"
        if then is None:
            self._wire.send(body, self._limits.data_block, Stage.BODY)
        else:
            self._send_both(body, then)

    def read_final(self) -> Reply:
        """The reply to the final dot. An SmtpError (stage DOT) leaves open whether the email was accepted."""
        self._expect("final")
        self._state = "idle" if self._envelope is None else "envelope"
        self.used += 1
        reply = self._wire.read_reply(self._limits.data_done, Stage.DOT)
        self.last_used = monotonic()
        self._needs_reset = self._envelope is None and not reply.ok
        return reply

    def refuse_body(self) -> None:
        """End the DATA of an email without accepted recipients by a lone dot (RFC 2920 3.1)."""
        self._expect("body")
        self._state = "idle"
        self._wire.command(b".\r\n", self._limits.data_done, Stage.RSET)
        self._needs_reset = True

    def reset(self) -> None:
        self._expect("idle")
        self._check_reset(self._ask(_RSET, self._limits.mail, Stage.RSET))
        self._needs_reset = False

    def is_alive(self) -> bool:
        """For an idle connection: the server has neither closed it nor said anything unasked."""
        return self._state == "idle" and self._wire.idle()

    def quit(self) -> None:
        """A polite end, which waits for nobody; never raises."""
        try:
            if self.usable and self._state == "idle":
                self._wire.send([b"QUIT\r\n"], 0, Stage.RSET)
        except SmtpError:
            pass
        self.close()

    def close(self) -> None:
        self._wire.close()

    def abort(self) -> None:
        """From another thread: whoever is blocked in here gets SmtpError (closed)."""
        self._wire.abort()

    def _expect(self, state: str) -> None:
        if self._state != state:
            raise RuntimeError(f"the connection is at {self._state}, not at {state}")

    def _prepared(self, envelope: Envelope) -> bytes:
        check(envelope, self._can)
        return b"".join((*commands(envelope, self._can), DATA))

    def _send_both(self, body: tuple[bytes, ...], then: Envelope) -> None:
        """Nothing that is wrong with `then` may touch the email whose body this is."""
        batch = b""
        self._envelope = then
        try:
            batch = self._prepared(then)
        except (SmtpError, ValueError) as error:
            self._failure = error
        parts = (*body, batch) if self.pipelining else body
        late = self._wire.send(parts, self._limits.data_block, Stage.BODY, essential=sum(map(len, body)))
        if late is not None:
            late.stage = Stage.MAIL
            self._failure = late
            self._wire.closing = True

    def _read_batch(self, envelope: Envelope) -> EnvelopeReplies:
        limits = self._limits
        if self._reset_sent:
            self._reset_sent = False
            self._check_reset(self._reply(limits.mail, Stage.RSET))
        mail = self._reply(limits.mail, Stage.MAIL)
        rcpts = tuple([self._reply(limits.rcpt, Stage.RCPT) for _ in envelope.recipients])
        return EnvelopeReplies(mail, rcpts, self._reply(limits.data_init, Stage.DATA))

    def _converse(self, envelope: Envelope) -> EnvelopeReplies:
        limits = self._limits
        if self._needs_reset:
            self.reset()
        mail_line, *rcpt_lines = commands(envelope, self._can)
        mail = self._ask(mail_line, limits.mail, Stage.MAIL)
        if not mail.ok:
            return EnvelopeReplies(mail, (), None)
        rcpts = tuple([self._ask(line, limits.rcpt, Stage.RCPT) for line in rcpt_lines])
        if not any(reply.ok for reply in rcpts):
            return EnvelopeReplies(mail, rcpts, None)
        return EnvelopeReplies(mail, rcpts, self._ask(DATA, limits.data_init, Stage.DATA))

    def _check_reset(self, reply: Reply) -> None:
        if not reply.ok:
            raise self._wire.fail(Stage.RSET, Reason.REJECTED, f"the server refused RSET: {reply}", reply)

    def _ask(self, line: bytes, limit: float, stage: Stage) -> Reply:
        self._wire.send([line], limit, stage)
        return self._reply(limit, stage)

    def _reply(self, limit: float, stage: Stage) -> Reply:
        """A 421 ends the dialog, so no reply after it is waited for."""
        if self._wire.closing:
            raise self._wire.fail(stage, Reason.CLOSED, "the server is closing the connection")
        reply = self._wire.read_reply(limit, stage)
        if reply.code == CLOSING:
            raise self._wire.fail(stage, Reason.REJECTED, f"the server closes: {reply}", reply)
        return reply


def _dotted(data: bytes) -> tuple[bytes, bytes]:
    """Dot-stuffed (RFC 5321 4.5.2); the end of data is a part of its own, so that 25 MB need no copy for it.

    Bare CR and LF become CRLF: servers disagree on them, and a lone LF before a dot could end the message
    for one and smuggle in a second for another.
    """
    if not (data.count(b"\r\n") == data.count(b"\n") == data.count(b"\r")):
        data = _BARE.sub(b"\r\n", data)
    if b"\r\n." in data:
        data = data.replace(b"\r\n.", b"\r\n..")
    if data.startswith(b"."):
        data = b"." + data
    return data, b".\r\n" if data.endswith(b"\r\n") or not data else b"\r\n.\r\n"
