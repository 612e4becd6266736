"""An SMTP client over sockets.

Not smtplib: its time-out starts anew at every byte, so that a slow server holds it for ever, and it cannot
pipeline.
"""

from __future__ import annotations

from .connection import Connection
from .endpoint import Deadlines, Endpoint, TlsMode
from .envelope import Envelope, EnvelopeReplies
from .errors import Reason, SmtpError, Stage
from .reply import CLOSING, Reply
from .tls import TlsInfo

__all__ = [
    "CLOSING",
    "Connection",
    "Deadlines",
    "Endpoint",
    "Envelope",
    "EnvelopeReplies",
    "Reason",
    "Reply",
    "SmtpError",
    "Stage",
    "TlsInfo",
    "TlsMode",
]
