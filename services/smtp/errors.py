"""What goes wrong in an SMTP dialog: where it did, and of what kind."""

from __future__ import annotations

from enum import StrEnum

from .reply import Reply


class Stage(StrEnum):
    CONNECT = "connect"
    BANNER = "banner"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"  # the final dot did not go out
    DOT = "dot"  # the final dot is out, its reply is not in
    RSET = "rset"


class Reason(StrEnum):
    DNS = "dns"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    TLS = "tls"
    PROTOCOL = "protocol"
    PRIVATE_ADDRESS = "private_address"
    AUTH = "auth"
    UNSUPPORTED = "unsupported"
    REJECTED = "rejected"
    TOO_LARGE = "too_large"


class SmtpError(Exception):
    """`detail` is for people; neither it nor `reply` ever holds the password or what AUTH exchanged."""

    def __init__(self, stage: Stage, reason: Reason, detail: str, reply: Reply | None = None) -> None:
        super().__init__(stage, reason, detail, reply)
        self.stage = stage
        self.reason = reason
        self.detail = detail
        self.reply = reply

    def __str__(self) -> str:
        return f"{self.stage}: {self.detail}"
