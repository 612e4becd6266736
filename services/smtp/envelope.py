"""An email's envelope on the wire: MAIL, RCPT and DATA, and the replies to them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .capabilities import Capabilities
from .errors import Reason, SmtpError, Stage
from .reply import Reply

START_INPUT = 354
DATA = b"DATA\r\n"

_PLAIN = re.compile(r'[^\s<>"\\]+')
_QUOTED = re.compile(r'"(?:[^"\\<>]|\\[^<>])*"@[^\s<>"\\]+')


@dataclass(frozen=True, slots=True)
class Envelope:
    """Addresses in wire form (IDNA or UTF-8). An empty sender is the null reverse-path. `size` in bytes."""

    sender: str
    recipients: tuple[str, ...]
    size: int
    eightbit: bool = False
    smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class EnvelopeReplies:
    """`rcpts` is empty when a refused MAIL ended the dialog; `data` is None when DATA was not sent."""

    mail: Reply
    rcpts: tuple[Reply, ...]
    data: Reply | None

    @property
    def ready(self) -> bool:
        """The body may go out."""
        return self.must_end_data and self.mail.ok and any(reply.ok for reply in self.rcpts)

    @property
    def all_accepted(self) -> bool:
        return self.ready and all(reply.ok for reply in self.rcpts)

    @property
    def must_end_data(self) -> bool:
        """The server waits for a body, if only for the lone dot of `refuse_body`."""
        return self.data is not None and self.data.code == START_INPUT


def check(envelope: Envelope, capabilities: Capabilities) -> None:
    """SmtpError when this server cannot take the envelope: better known before MAIL than by a refusal."""
    if envelope.smtputf8 and not capabilities.smtputf8:
        raise SmtpError(Stage.MAIL, Reason.UNSUPPORTED, "the email needs SMTPUTF8, which the server lacks")
    if envelope.eightbit and not capabilities.eightbit:
        raise SmtpError(Stage.MAIL, Reason.UNSUPPORTED, "the email needs 8BITMIME, which the server lacks")
    limit = capabilities.max_size
    if limit is not None and envelope.size > limit:
        detail = f"the email has {envelope.size} bytes, the server takes at most {limit}"
        raise SmtpError(Stage.MAIL, Reason.TOO_LARGE, detail)


def commands(envelope: Envelope, capabilities: Capabilities) -> list[bytes]:
    """MAIL and one RCPT a recipient, each with its CRLF. ValueError when an address is unfit for one."""
    if not envelope.recipients:
        raise ValueError("an envelope needs a recipient")
    if envelope.sender:
        check_address(envelope.sender)
    mail = f"MAIL FROM:<{envelope.sender}>"
    if "SIZE" in capabilities.keywords:
        mail += f" SIZE={envelope.size}"
    if envelope.eightbit:
        mail += " BODY=8BITMIME"
    if envelope.smtputf8:
        mail += " SMTPUTF8"
    lines = [mail]
    for recipient in envelope.recipients:
        check_address(recipient)
        lines.append(f"RCPT TO:<{recipient}>")
    charset = "utf-8" if envelope.smtputf8 else "ascii"
    return [f"{line}\r\n".encode(charset) for line in lines]


def check_address(address: str) -> None:
    """Last line of defence against SMTP injection: ValueError for all that could end the path or the line.

    Spaces pass inside a quoted local part alone; angle brackets, control characters and Unicode's own spaces
    and line ends never do.
    """
    if not address.isprintable() or not (_PLAIN.fullmatch(address) or _QUOTED.fullmatch(address)):
        raise ValueError(f"not an address for an SMTP command: {address!r}")
